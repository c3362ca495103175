"""What `make bench` measures: the bill, the processor time and the start-up of the real functions. It never judges."""
