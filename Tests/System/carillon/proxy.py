"""A wire that can be cut: a TCP proxy between a client and a server."""

import socket
import threading


class Wire:
    """Forwards every connection to `target` ("host:port"). `cut` ends those there are, `down` also refuses new ones."""

    def __init__(self, target):
        host, _, port = target.rpartition(":")
        self.target, self.pairs, self.refusing, self.lock = (host, int(port)), [], False, threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        self.accepted = 0
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            if self.refusing:
                client.close()
                continue
            self.accepted += 1
            try:
                server = socket.create_connection(self.target, 20)
            except OSError:
                client.close()
                continue
            server.settimeout(None)
            with self.lock:
                is_down = self.refusing  # since it was asked above
                if not is_down:
                    self.pairs.append((client, server))
            if is_down:
                client.close()
                server.close()
                continue
            for source, sink in ((client, server), (server, client)):
                threading.Thread(target=self.forward, args=(source, sink), daemon=True).start()

    def forward(self, source, sink):
        try:
            while data := source.recv(65536):
                sink.sendall(data)
        except OSError:
            pass
        for end in (source, sink):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def cut(self):
        with self.lock:
            pairs, self.pairs = self.pairs, []
        for pair in pairs:
            for end in pair:
                try:
                    end.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def down(self):
        self.refusing = True
        self.cut()

    def up(self):
        self.refusing = False

    def close(self):
        self.listener.close()
        self.cut()
