"""A watch over a whole call: a socket's own timeout begins anew with every byte."""

import socket
import threading


class Watch:
    """Shuts a connection down when its time is over, whatever it is doing: TLS's first words, an answer that drips."""

    def __init__(self, sock: socket.socket, seconds: float) -> None:
        self.is_over = False
        self._sock = sock
        self._timer = threading.Timer(seconds, self._shut)
        self._timer.daemon = True
        self._timer.start()

    def end(self) -> None:
        self._timer.cancel()
        self._timer.join()

    def _shut(self) -> None:
        self.is_over = True
        try:
            socket.socket.shutdown(self._sock, socket.SHUT_RDWR)  # of TLS too: its own shutdown would wait
        except OSError:
            return  # closed already
