"""The client with the real program."""

import datetime
import time
import unittest

from crest_client import ApiError, Client, Unreachable, types
from tests.conforms import problems
from tests.program import Crest, eventually

UTC = datetime.timezone.utc


def views(counts, region="IN", kind="view"):
    now = int(time.time() * 1000)
    return [
        {"event_type": kind, "video_id": video, "region": region, "timestamp": now}
        for video, count in counts.items()
        for _ in range(count)
    ]


def counted(ranking):
    return [(row["item_id"], row["count"]) for row in ranking["items"]]


class Against(unittest.TestCase):
    """Tests that share a server."""

    @classmethod
    def setUpClass(cls):
        cls.crest = Crest()
        cls.addClassCleanup(cls.crest.close)
        cls.client = Client(cls.crest.url)

    def fits(self, value, of):
        self.assertEqual(problems(value, of), [])
        return value


class Reading(Against):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.client.send(views({"a": 30, "b": 20, "c/ü": 10}) + views({"b": 15}, "US"))
        look = lambda: cls.client.top_k("videos", window="last_5m")  # noqa: E731
        eventually("all is counted", lambda: look()["total"] == 75)
        past = eventually("panes are durable", lambda: cls.client.status()["past"])
        cls.began = datetime.datetime.fromtimestamp(past["from"] / 1000, UTC)
        eventually("all are", lambda: cls.client.top_k("videos", start=cls.began)["total"] == 75)

    def test_a_ranking_is_what_was_sent(self):
        ranking = self.fits(self.client.top_k("videos", window="last_5m", k=2), types.Snapshot)
        self.assertEqual(counted(ranking), [("b", 35), ("a", 30)])
        self.assertEqual(ranking["other"]["count"], 10)
        self.assertEqual(counted(self.client.top_k()), counted(self.client.top_k("videos")))
        group = self.client.top_k("videos", window="last_5m", group={"region": "US"})
        self.assertEqual(counted(group), [("b", 15)])

    def test_a_past_interval_may_be_asked_for_in_three_ways(self):
        milliseconds = int(self.began.timestamp() * 1000)
        for start in (self.began, self.began.isoformat(), milliseconds):
            ranking = self.fits(self.client.top_k("videos", start=start), types.Snapshot)
            self.assertEqual(counted(ranking), [("b", 35), ("a", 30), ("c/ü", 10)])
        with self.assertRaises(ValueError):
            self.client.top_k("videos", start=datetime.datetime.now())
        with self.assertRaises(ApiError) as caught:
            self.client.top_k("videos", start="2001-01-01T00:00:00Z")
        self.assertEqual(caught.exception.status, 416)
        self.fits(caught.exception.body, types.NotHeld)

    def test_one_item_whatever_it_is_called(self):
        item = self.fits(self.client.item("videos", "c/ü", window="last_5m"), types.KnownItem)
        self.assertEqual((item["count"], item["rank"]), (10, {"best": 3, "worst": 3}))
        unknown = self.fits(self.client.item("videos", "nobody", window="last_5m"), types.KnownItem)
        self.assertEqual((unknown["count"], unknown["listed"]), (0, False))

    def test_series_and_what_rises(self):
        series = self.fits(self.client.series("videos", start=self.began, step="1s", k=3), types.Series)
        points = [point["count"] for point in series["points"] if point["item_id"] == "b"]
        self.assertEqual(sum(points), 35)
        item = self.fits(self.client.item("videos", "b", start=self.began, step="1s"), types.KnownItem)
        self.assertEqual(sum(point["count"] for point in item["points"]), 35)

        def rising():
            try:
                return self.client.rising("videos", window="1s", against="1s")
            except ApiError as error:
                self.assertEqual(error.status, 416)

        self.fits(eventually("two windows are kept", rising), types.Rising)

    def test_what_there_is(self):
        boards = self.client.boards()
        self.assertEqual([board["name"] for board in boards], ["videos", "sales"])
        for board in boards:
            self.fits(board, types.Board)
        board = self.fits(self.client.board("videos"), types.GroupedBoard)
        self.assertEqual(board["groups_total"], 2)
        self.assertEqual(self.fits(self.client.status(), types.Status)["events"], 75)
        self.assertTrue(self.fits(self.client.ready(), types.Ready)["ready"])

    def test_a_refusal_has_the_words_of_the_server(self):
        with self.assertRaises(ApiError) as caught:
            self.client.top_k("video")
        self.assertEqual((caught.exception.status, caught.exception.body["boards"]), (404, ["videos", "sales"]))
        self.assertIn("video", caught.exception.message)
        with self.assertRaises(ApiError) as caught:
            next(self.client.follow("videos", window="last_year"))
        self.assertEqual(caught.exception.status, 404)
        with self.assertRaises(ApiError) as caught:
            self.client.top_k("videos", group={"country": "IN"})
        self.assertEqual(caught.exception.status, 400)
        with self.assertRaises(ValueError):
            self.client.top_k("videos", group={"window": "IN"})


class Sending(Against):
    def test_what_was_taken_and_what_will_not_be_counted_is_said(self):
        answer = self.client.send(views({"a": 3, "b": 2}) + views({"a": 1}, kind="like"), batch=4)
        self.assertEqual(self.fits(answer, types.Accepted), {**answer, "accepted": 6, "unmatched": 1})
        self.assertEqual(self.client.send(iter(()))["accepted"], 0)

    def test_a_wrong_event_is_named_and_what_went_before_it(self):
        events = views({"a": 5})
        events[3] = {**events[3], "timestamp": "yesterday"}
        with self.assertRaises(ApiError) as caught:
            self.client.send(events, batch=2)
        error = caught.exception
        self.assertEqual((error.status, error.body["index"], error.accepted), (422, 1, 2), error)
        self.fits(error.body, types.Wrong)
        with self.assertRaises(ValueError):
            self.client.send([{"video_id": float("nan")}])


class Tokens(unittest.TestCase):
    def test_who_has_no_token_is_refused_and_who_has_is_not(self):
        read, ingest = "r" * 16, "i" * 16
        crest = Crest(environment={"CREST_READ_TOKEN": read, "CREST_INGEST_TOKEN": ingest})
        self.addCleanup(crest.close)
        for client in (Client(crest.url), Client(crest.url, token="x" * 16)):
            for call in (client.boards, lambda: client.send(views({"a": 1})), lambda: next(client.follow("videos"))):
                with self.assertRaises(ApiError) as caught:
                    call()
                self.assertEqual(caught.exception.status, 401)
        client = Client(crest.url, token=read, ingest_token=ingest)
        self.assertEqual(client.send(views({"a": 1}))["accepted"], 1)
        self.assertEqual(len(client.boards()), 2)
        self.assertEqual(next(client.follow("videos"))["board"], "videos")


class Following(unittest.TestCase):
    def test_a_stream_goes_on_through_a_restart(self):
        crest = Crest()
        self.addCleanup(crest.close)
        client = Client(crest.url)
        client.send(views({"a": 2}))
        rankings = client.follow("videos", window="last_5m", k=5)

        def until(total):
            seen = []
            for ranking in rankings:
                seen.append(ranking)
                if ranking["total"] == total:
                    return seen

        seen = until(2)
        self.assertEqual(problems(seen[-1], types.Snapshot), [])
        crest.kill()
        with self.assertRaises(Unreachable):
            Client(crest.url, retries=0).boards()
        crest.start()
        client.send(views({"a": 1, "b": 2}))
        self.assertEqual(counted(until(5)[-1]), [("a", 3), ("b", 2)])
        rankings.close()

    def test_patience_ends_a_stream_whose_server_is_gone(self):
        crest = Crest()
        self.addCleanup(crest.close)
        client = Client(crest.url)
        client.send(views({"a": 2}))
        rankings = client.follow("videos", patience=0.5)
        next(rankings)
        crest.kill()
        with self.assertRaises(Unreachable):
            for _ in rankings:
                pass


if __name__ == "__main__":
    unittest.main()
