"""The real program, as the tests start it; CREST_BIN says where it is."""

import os
import re
import shutil
import subprocess
import tempfile
import threading
import time

PATIENCE = 60.0

CONFIG = """
[time]
pane = "1s"
refresh = "100ms"
out_of_orderness = "0s"

[[board]]
name = "videos"
filter = { event_type = "view" }
item = "video_id"
by = ["region"]
k = 10
windows = [ { name = "last_5m", size = "5m", slide = "1s" }, { name = "last_5s", size = "5s", slide = "1s" } ]

[[board]]
name = "sales"
filter = { event_type = "sale" }
item = "video_id"
windows = [ { name = "last_5m", size = "5m", slide = "1s" } ]
"""


class Crest:
    """A server with a log and a state of its own, which outlive :meth:`kill`."""

    def __init__(self, *more, environment=None):
        self.folder = tempfile.mkdtemp(prefix="crest-client-")
        self.more, self.environment = more, environment or {}
        self.port = 0
        config = os.path.join(self.folder, "crest.toml")
        with open(config, "w", encoding="utf-8") as file:
            file.write(CONFIG)
        self.arguments = ["--config", config, "--source", "log:" + os.path.join(self.folder, "log")]
        self.arguments += ["--state", os.path.join(self.folder, "state")]
        self.start()

    def start(self):
        """Starts it, at the same port as before, and waits until it says where it is."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("CREST_")}
        line = [os.environ["CREST_BIN"], *self.arguments, "--http", f"127.0.0.1:{self.port}", *self.more]
        self.process = subprocess.Popen(
            line, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, env={**inherited, **self.environment}, text=True
        )
        said = []
        for text in self.process.stderr:
            said.append(text)
            found = re.search(r"http://127\.0\.0\.1:(\d+)", text)
            if found:
                self.port = int(found.group(1))
                break
        else:
            raise AssertionError("".join(said))
        self.reader = threading.Thread(target=self.process.stderr.read, daemon=True)
        self.reader.start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.reader.join()
        self.process.stderr.close()

    def close(self):
        if self.process.poll() is None:
            self.kill()
        shutil.rmtree(self.folder)


def eventually(what, look):
    """The first answer that is not false."""
    deadline = time.monotonic() + PATIENCE
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"still waiting: {what}")
        time.sleep(0.05)
