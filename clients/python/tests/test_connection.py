"""What is asked again and what is not, by a server that does as it is told."""

import gzip
import json
import socket
import threading
import unittest
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from unittest import mock

from crest_client import ApiError, Client, OutcomeUnknown, Unreachable
from crest_client import client as client_module
from crest_client import connection as connection_module
from crest_client.stream import Event, Parser

TAKEN = {"message": "Event queued for processing", "accepted": 1}


class Server:
    """Gives these answers, one after the other: (status, headers, body), or None to hang up without one."""

    def __init__(self, *answers):
        self.requests = []
        answers = list(answers)
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                length = int(self.headers.get("Content-Length", 0))
                server.requests.append((self.command, self.path, dict(self.headers), self.rfile.read(length)))
                answer = answers.pop(0)
                if answer is None:
                    self.connection.shutdown(socket.SHUT_RDWR)
                    return
                status, headers, body = answer
                body = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            do_POST = do_GET

            def log_message(self, *_):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.http.serve_forever, args=(0.02,), daemon=True).start()

    def client(self, **options):
        return Client(f"http://127.0.0.1:{self.http.server_port}/behind/a/proxy", **options)

    def close(self):
        self.http.shutdown()
        self.http.server_close()


class Asking(unittest.TestCase):
    def setUp(self):
        # The time between two tries is looked at, and not waited for.
        self.waits = []
        for module in (connection_module, client_module):
            patch = mock.patch.object(module.time, "sleep", self.waits.append)
            patch.start()
            self.addCleanup(patch.stop)

    def server(self, *answers):
        server = Server(*answers)
        self.addCleanup(server.close)
        return server

    def test_who_is_told_to_come_again_does_after_that_time(self):
        server = self.server((503, {"Retry-After": "7"}, {"error": "busy"}), None, (200, {}, {"boards": []}))
        self.assertEqual(server.client().boards(), [])
        self.assertEqual([path for _, path, _, _ in server.requests], ["/behind/a/proxy/boards"] * 3)
        self.assertTrue(7 <= self.waits[0] < 9 and self.waits[1] < 1, self.waits)

    def test_after_so_many_tries_the_last_answer_is_told(self):
        server = self.server(*[(503, {"Retry-After": "1"}, {"error": "too many"})] * 3)
        with self.assertRaises(ApiError) as caught:
            server.client(retries=2).boards()
        self.assertEqual((caught.exception.message, len(server.requests)), ("too many", 3))

    def test_what_will_not_be_otherwise_later_is_asked_once(self):
        for status, headers in ((404, {}), (500, {}), (503, {}), (302, {"Location": "/"})):
            server = self.server((status, headers, b"<html>"))
            with self.assertRaises(ApiError) as caught:
                server.client().boards()
            self.assertEqual((caught.exception.status, len(server.requests)), (status, 1))

    def test_events_are_sent_again_only_where_none_was_taken(self):
        server = self.server((503, {"Retry-After": "1"}, {"error": "full"}), (202, {}, TAKEN))
        self.assertEqual(server.client().send([{"item_id": "ü"}])["accepted"], 1)
        first, second = server.requests
        self.assertEqual(gzip.decompress(first[3]), '{"item_id":"ü"}\n'.encode())
        self.assertEqual(first[3], second[3])
        for answer in (None, (503, {}, {"error": "it is not known whether all was kept"}), (202, {}, b"{")):
            server = self.server((202, {}, TAKEN), answer)
            with self.assertRaises(OutcomeUnknown) as caught:
                server.client().send([{"item_id": "a"}, {"item_id": "b"}], batch=1)
            self.assertEqual((caught.exception.accepted, len(server.requests)), (1, 2))

    def test_a_server_that_was_never_reached_has_taken_nothing(self):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            client = Client(f"http://127.0.0.1:{free.getsockname()[1]}", retries=3)
            with self.assertRaises(Unreachable):
                client.send([{"item_id": "a"}])
        self.assertEqual(len(self.waits), 3)
        self.assertTrue(self.waits[0] < self.waits[1] < self.waits[2], self.waits)

    def test_large_events_make_small_batches(self):
        server = self.server(*[(202, {}, TAKEN)] * 3)
        server.client().send([{"text": "x" * 3_000_000}] * 3)
        self.assertEqual([len(gzip.decompress(body)) for *_, body in server.requests], [3_000_012] * 3)

    def test_who_follows_says_what_it_knows_and_passes_over_it(self):
        events = "retry: 250\nevent: status\ndata: {}\n\n" + "".join(
            f"event: snapshot\nid: {tag}\ndata: {{\"total\": {total}}}\n\n" for tag, total in (("a", 1), ("b", 2))
        )
        again = 'event: snapshot\nid: b\ndata: {"total": 2}\n\nevent: snapshot\nid: c\ndata: {"total": 3}\n\n: \n\nevent: sna'
        stream = {"Content-Type": "text/event-stream"}
        server = self.server((200, stream, events.encode()), (503, {}, {"error": "not now"}), (200, stream, again.encode()))
        rankings = server.client(token="t" * 16).follow("videos", window="last_1h", group={"region": "IN"})
        self.assertEqual([next(rankings)["total"] for _ in range(3)], [1, 2, 3])
        rankings.close()
        paths = {path for _, path, _, _ in server.requests}
        self.assertEqual(paths, {"/behind/a/proxy/stream/videos?window=last_1h&region=IN"})
        self.assertEqual([headers.get("Last-Event-ID") for _, _, headers, _ in server.requests], [None, "b", "b"])
        self.assertEqual(self.waits[0], 0.25)
        self.assertTrue(all(headers["Authorization"] == "Bearer " + "t" * 16 for _, _, headers, _ in server.requests))

    def test_addresses_that_are_none_are_refused(self):
        for url in ("127.0.0.1:8080", "ftp://host", "http://", "http://me:secret@host", "http://host?x=1"):
            with self.assertRaises(ValueError) as caught:
                Client(url)
            self.assertNotIn("secret", str(caught.exception))


class Events(unittest.TestCase):
    def test_a_stream_is_cut_into_events(self):
        text = b": hello\r\nid: 1\r\nevent: a\r\ndata: x\r\ndata:y\r\n\r\nid: 2\n\nretry: x\ndata\n\ndata: cut off"
        events = list(Parser().all(text.splitlines(keepends=True)))
        self.assertEqual(events, [Event("a", "x\ny", "1"), Event("message", "", None)])


if __name__ == "__main__":
    unittest.main()
