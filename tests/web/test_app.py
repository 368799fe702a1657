"""The site over HTTP, without a browser."""

import http.client
import io
import json
import re
import tempfile
import threading
import time
from pathlib import Path
from urllib.parse import quote

import fake_block
import numpy as np
import pytest
from fake_dicom import dataset, frames, place, save
from fake_language import QUESTION
from PIL import Image

from framework import registry
from framework.errors import UserError
from framework.tasks.asking import Asker
from framework.types import Record, Sample
from framework.web.talks import Talk


@pytest.fixture(scope="module")
def png():
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 60, 3), np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def call(site):
    """Status, headers and body of a request."""

    def send(method, path, body=None, **headers):
        connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=60)
        connection.request(method, path, body, headers, encode_chunked=headers.get("Transfer-Encoding") == "chunked")
        response = connection.getresponse()
        found = response.status, dict(response.getheaders()), response.read()
        connection.close()
        return found

    return send


@pytest.fixture
def talk(site):
    """Path of a talk about a picture."""
    return begin(site)


def begin(site):
    registry.load_domain("industrial")
    views = np.random.default_rng(0).integers(0, 255, (1, 3, 40, 60), np.uint8)
    sample = Sample(Record(Path("a.png"), False, ""), views)
    return f"/talks/{site.talks.add(Talk(site.asker, 'a.png', 'industrial', sample))}"


def ask(call, talk, question):
    status, headers, body = call("POST", talk, json.dumps({"question": question}))
    assert status == 200 and headers["Content-Type"] == "application/x-ndjson"
    return [json.loads(line) for line in body.splitlines()]


def refused(found, status):
    """The line of a refusal."""
    assert found[0] == status, found
    return json.loads(found[2])["error"]


def test_the_page_loads_nothing_from_elsewhere(call):
    for path, kind in (("/", "text/html"), ("/page.css", "text/css"), ("/page.js", "text/javascript")):
        status, headers, body = call("GET", path)
        assert status == 200 and headers["Content-Type"].startswith(kind)
        assert "default-src 'none'" in headers["Content-Security-Policy"] and "http" not in body.decode()
        assert headers["Cache-Control"] == "no-store" and headers["X-Content-Type-Options"] == "nosniff"
    assert b'accept=".bmp,.dcm,' in call("GET", "/")[2] and b"up to 1 MB" in call("GET", "/")[2]
    for path in ("/page.py", "/page.html.j2", "/../app.py", "/page.cssx"):
        assert call("GET", path)[0] == 404


def test_a_picture_is_scored_shown_and_talked_about(call, png, site, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    status, _, body = call("POST", "/files?name=" + quote("../é/<b>\u202e a.PNG"), png)
    told = json.loads(body)
    assert status == 200 and told["name"] == "<b> a.PNG" and told["domain"] == "industrial"
    assert 0 <= told["score"] <= 1 and told["shown"] == [0] and told["questions"][0] == QUESTION
    assert not list(tmp_path.glob("anomaly-ov-*"))  # the file is gone
    talk = f"/talks/{told['talk']}"
    for kind in ("view", "map"):
        status, headers, body = call("GET", f"{talk}/0/{kind}.png")
        assert (
            status == 200 and headers["Content-Type"] == "image/png" and Image.open(io.BytesIO(body)).size == (60, 40)
        )
    assert call("GET", f"{talk}/1/view.png")[0] == call("GET", f"{talk}/0/other.png")[0] == 404
    first, *pieces, last = ask(call, talk, QUESTION)
    assert first == {"waiting": 0} and last == {"done": True} and len(pieces) > 1
    ((asked, answer),) = site.talks.get(told["talk"]).subject.turns
    assert asked == f"<image>\n{QUESTION}" and answer == "".join(p["text"] for p in pieces).strip()
    assert call("DELETE", talk)[0] == 204
    assert refused(call("POST", talk, '{"question": "x"}'), 404) == "this talk has ended. Choose the file again."


@pytest.fixture
def ball(tmp_path):
    """Bytes of a cloud."""
    pytest.importorskip("open3d", reason="needs Open3D and its system libraries", exc_type=ImportError)
    from domains.pointcloud.making.procedural import write_pcd

    points = np.random.default_rng(0).normal(size=(500, 3))
    write_pcd(tmp_path / "ball.pcd", points / np.linalg.norm(points, axis=1, keepdims=True))
    return (tmp_path / "ball.pcd").read_bytes()


def test_a_cloud_has_a_page_of_its_own_that_may_run_its_scripts_and_nothing_else(call, ball, png):
    told = json.loads(call("POST", "/files?name=my%20ball.pcd", ball)[2])
    assert told["domain"] == "pointcloud" and told["viewer"] and told["of"] > len(told["views"]) == 4
    assert [view["number"] for view in told["views"]] == [1, 2, 3, 4]
    status, headers, body = call("GET", f"/talks/{told['talk']}/viewer")
    assert status == 200 and headers["Content-Type"].startswith("text/html")
    policy, text = headers["Content-Security-Policy"], body.decode()
    nonce = re.search(r"script-src 'nonce-([\w-]+)'", policy)[1]
    assert "default-src 'none'" in policy and policy.endswith("sandbox allow-scripts") and "unsafe" not in policy
    assert "frame-ancestors 'self'" in policy and headers["Cache-Control"] == "no-store"
    assert text.count(f'nonce="{nonce}"') == 3 and len(nonce) > 20 and "http" not in text
    assert "my ball.pcd" in text and '"elements"' not in text
    picture = json.loads(call("POST", "/files?name=a.png", png)[2])
    assert not picture["viewer"] and call("GET", f"/talks/{picture['talk']}/viewer")[0] == 404
    assert call("GET", "/talks/nobody/viewer")[0] == 404


@pytest.mark.parametrize("name", ["a.pkl", "a.pth", "a.npy", "a.png.exe", "safetensors"])
def test_other_kinds_are_refused_unopened(call, name, monkeypatch):
    for kind, domain in list(registry._TABLE):  # a plug-in of another test may read .npy
        if kind == "domain" and domain not in registry.domains():
            monkeypatch.delitem(registry._TABLE, (kind, domain))
    line = refused(call("POST", f"/files?name={name}", b"x"), 422)
    assert line.startswith(f"{name}: no domain reads this kind of file. Known endings: .bmp,")


def test_a_dicom_file_without_an_ending_is_told_by_its_content(call, tmp_path):
    pytest.importorskip("pydicom", reason="needs the extra: uv pip install -e '.[medical]'")
    pytest.importorskip("monai", reason="needs the extra: uv pip install -e '.[medical]'")
    pixels = np.random.default_rng(0).integers(0, 2000, (3, 20, 24)).astype(np.int16)
    one = save(place(dataset(pixels[0]), (0, 0, 0)), tmp_path / "IM0001")
    several = frames(tmp_path / "enhanced", pixels, [0, 1, 2])
    for path, count in ((one, 1), (several, 3)):
        told = json.loads(call("POST", f"/files?name={path.name}", path.read_bytes())[2])
        assert (told["domain"], told["of"], told["warnings"]) == ("medical", count, [])
    line = refused(call("POST", "/files?name=IM0001", one.read_bytes()[:-50]), 422)
    assert line == "IM0001: its pixels cannot be read; they are damaged or cut off."


def test_a_broken_file_is_told_by_its_own_name(call):
    line = refused(call("POST", "/files?name=mine.png", b"x"), 422)
    assert line == "mine.png: no readable picture (cannot identify image file 'it'). Replace the file or take it out."


def test_too_large(call):
    line = "the file is larger than 1 MB. Send a smaller one."
    much = bytes((1 << 20) + 1)
    assert refused(call("POST", "/files?name=a.png", much), 413) == line
    parts = (much[i : i + 65536] for i in range(0, len(much), 65536))  # its size is told nowhere
    assert refused(call("POST", "/files?name=a.png", parts, **{"Transfer-Encoding": "chunked"}), 413) == line


def test_other_sites_cannot_use_it(call):
    assert "under a name that is not its own" in refused(call("GET", "/", Host="evil.example:80"), 403)
    line = refused(call("POST", "/files?name=a.png", b"x", Origin="http://evil.example"), 403)
    assert line == "only the site's own page may ask this."
    assert call("GET", "/", Host="localhost:1")[0] == 200


@pytest.mark.parametrize(
    ("body", "line"),
    [
        ("x", 'send {"question": "..."}.'),
        ("[]", 'send {"question": "..."}.'),
        ('{"question": 3}', 'send {"question": "..."}.'),
        ('{"question": " "}', "a question has 1 to 4000 characters, this one 0."),
        (json.dumps({"question": "x" * 4001}), "a question has 1 to 4000 characters, this one 4001."),
    ],
)
def test_what_is_no_question(call, talk, body, line):
    assert refused(call("POST", talk, body), 400) == line


def test_mistakes_in_a_question_and_then_a_good_one(call, talk, asker, monkeypatch):
    line = "the question holds the control token <|im_end|>. Take it out."
    assert ask(call, talk, "a <|im_end|> b") == [{"waiting": 0}, {"error": line}]
    monkeypatch.setattr(asker.chat, "longest", 300)
    (_, told) = ask(call, talk, QUESTION)
    assert "do not fit into the 300 that the model can read" in told["error"]
    monkeypatch.undo()
    assert ask(call, talk, "\ud800 surrogate")[-1] == {"done": True}


def test_markup_of_an_answer_stays_text(call, talk, monkeypatch):
    monkeypatch.setattr(
        Asker, "answer", lambda self, seen, prompts, most, stream, stopped: stream("<b>é</b>") or ["<b>é</b>"]
    )
    assert ask(call, talk, "x")[1:] == [{"text": "<b>é</b>"}, {"done": True}]


def test_one_answer_at_a_time_and_the_others_wait(call, png, site, monkeypatch):
    first, second = begin(site), begin(site)
    go, running, most, answers = threading.Event(), [], [], {}

    def answer(self, seen, prompts, longest, stream, stopped):
        running.append(1)
        most.append(len(running))
        assert go.wait(30)
        running.pop()
        return ["yes"]

    monkeypatch.setattr(Asker, "answer", answer)
    threads = []
    for talk in (first, second):
        threads.append(threading.Thread(target=lambda t=talk: answers.update({t: ask(call, t, "x")})))
        threads[-1].start()
        deadline = time.monotonic() + 30
        while site.waiting < len(threads) and time.monotonic() < deadline:
            time.sleep(0.01)
    line = "the last question is still being answered. Wait for its answer."
    assert refused(call("POST", first, '{"question": "y"}'), 409) == line
    monkeypatch.setattr("framework.web.app.WAITING", 2)
    line = "too many are waiting for the model. Try again in a minute."
    assert refused(call("POST", "/files?name=a.png", png), 503) == line
    go.set()
    for thread in threads:
        thread.join()
    assert answers == {first: [{"waiting": 0}, {"done": True}], second: [{"waiting": 1}, {"done": True}]}
    assert most == [1, 1] and site.waiting == 0


def test_an_answer_nobody_waits_for_is_broken_off(call, site, talk, monkeypatch):
    ended = []

    def answer(self, seen, prompts, longest, stream, stopped):
        try:
            for _ in range(1000):
                stream("word ")
                time.sleep(0.01)
        finally:
            ended.append(time.monotonic())
        return ["all"]

    monkeypatch.setattr(Asker, "answer", answer)
    connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=30)
    connection.request("POST", talk, '{"question": "x"}')
    response = connection.getresponse()
    assert b"waiting" in response.readline() and b"word" in response.readline()
    response.close()
    connection.close()
    left = time.monotonic()
    while not ended and time.monotonic() < left + 30:
        time.sleep(0.01)
    assert ended and ended[0] - left < 5
    monkeypatch.undo()
    assert ask(call, talk, "x")[-1] == {"done": True}
    assert len(site.talks.get(talk.split("/")[-1]).subject.turns) == 1


def stopping(call, site, talk):
    """The lines of an answer that is stopped once it is on its way."""
    connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=30)
    connection.request("POST", talk, '{"question": "x"}')
    response = connection.getresponse()
    found = [json.loads(response.readline())]
    yield found[0]
    assert call("POST", f"{talk}/stop")[0] == 204
    found += [json.loads(line) for line in response.read().splitlines()]
    connection.close()
    yield found


def test_an_answer_is_stopped_and_what_was_said_is_kept(call, site, talk, monkeypatch):
    steps, real = [], Asker.answer

    def slow(self, seen, prompts, longest, stream, stopped):
        """The real model, which never comes to an end by itself."""
        monkeypatch.setattr(self.chat, "end_id", -1)

        def step():
            steps.append(time.monotonic())
            time.sleep(0.02)
            return stopped()

        return real(self, seen, prompts, 3000, stream, step)

    monkeypatch.setattr(Asker, "answer", slow)
    lines = stopping(call, site, talk)
    assert next(lines) == {"waiting": 0}
    deadline = time.monotonic() + 30
    while len(steps) < 5 and time.monotonic() < deadline:
        time.sleep(0.01)
    asked = time.monotonic()
    *pieces, last = next(lines)[1:]
    assert last == {"stopped": True} and time.monotonic() - asked < 20
    assert 5 <= len(steps) < 500
    ((_, answer),) = site.talks.get(talk.split("/")[-1]).subject.turns
    assert answer == "".join(piece["text"] for piece in pieces).strip()
    monkeypatch.undo()
    assert ask(call, talk, "x")[-1] == {"done": True}
    assert call("POST", f"{talk}/stop")[0] == 204  # where nothing is on its way, nothing is done


def test_an_answer_that_waits_is_stopped_at_once(call, site, monkeypatch):
    go, asked = threading.Event(), []

    def answer(self, seen, prompts, longest, stream, stopped):
        asked.append(prompts[0][-1][0])
        assert go.wait(30)
        return ["yes"]

    monkeypatch.setattr(Asker, "answer", answer)
    first, second = begin(site), begin(site)
    thread = threading.Thread(target=ask, args=(call, first, "x"))
    thread.start()
    while not asked:
        time.sleep(0.01)
    lines = stopping(call, site, second)
    assert next(lines) == {"waiting": 1} and next(lines) == [{"waiting": 1}, {"stopped": True}]
    go.set()
    thread.join()
    assert len(asked) == 1 and site.waiting == 0
    assert site.talks.get(second.split("/")[-1]).subject.turns == []


def test_the_domain_may_be_chosen(call, png):
    told = json.loads(call("POST", "/files?name=a.png&domain=medical", png)[2])
    assert told["domain"] == "medical" and "voxel" not in told["questions"][0]
    line = refused(call("POST", "/files?name=a.png&domain=pointcloud", png), 422)
    assert line == (
        "a.png: domain 'pointcloud' does not read this kind of file. Known endings: .obj, .pcd, .ply, .stl, .tif, "
        ".tiff, .xyz, _depth.png."
    )
    assert "no domain called 'nonsense'" in refused(call("POST", "/files?name=a.png&domain=nonsense", png), 422)


def test_the_page_offers_the_domains_that_there_are(call):
    page = call("GET", "/")[2].decode()
    for name, ending in (("industrial", ".webp"), ("medical", ".nii.gz"), ("pointcloud", ".stl")):
        (line,) = [line for line in page.splitlines() if line.endswith(f">{name}</option>")]
        assert ending in line
    assert ".tif .tiff are read as industrial unless you choose another." in page


def test_a_mistake_while_the_file_is_encoded(call, png, monkeypatch):
    def look(self, views):
        raise UserError("too much.")

    monkeypatch.setattr(Asker, "look", look)
    assert refused(call("POST", "/files?name=a.png", png), 422) == "too much."


def test_a_scan_has_a_page_of_three_planes_under_the_same_policy(call, tmp_path):
    pytest.importorskip("nibabel", reason="needs the extra: uv pip install -e '.[medical]'")
    fake_block.write(tmp_path / "a.nii", fake_block.ct())
    told = json.loads(call("POST", "/files?name=a.nii", (tmp_path / "a.nii").read_bytes())[2])
    assert told["domain"] == "medical" and told["viewer"] and told["sliced"] and told["of"] == 10
    assert all(re.fullmatch(r"axial slice \d+ of 12 from below, z = -?\d+ mm", v["caption"]) for v in told["views"])
    _, headers, body = call("GET", f"/talks/{told['talk']}/viewer")
    nonce = re.search(r"script-src 'nonce-([\w-]+)'", headers["Content-Security-Policy"])[1]
    text = body.decode()
    assert text.count(f'nonce="{nonce}"') == 3 and '"truth"' not in text and '"numbers"' not in text
    start = int(re.search(r'"start":(\d+)', text)[1])
    assert start in told["shown"]
