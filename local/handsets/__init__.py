"""A simulated carrier and the handsets behind it, with a page to watch and answer. Listens on loopback only."""
