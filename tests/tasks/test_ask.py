"""A file and questions through ``anomaly-ov ask``: answers, score, maps, talks; and the line of every mistake."""

import contextlib
import io
import json
import os
import pty
import select
import shutil
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from fake_asker import talkative
from fake_cli import mistake, picture
from PIL import Image

from framework import registry
from framework.cli import main
from framework.lift import lift
from framework.models.onevision import tuned
from framework.tasks import ask as module
from framework.tasks import seeing
from framework.tasks.ask import Subject, read
from framework.tasks.asking import Asker
from framework.types import Record


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return talkative(tmp_path_factory.mktemp("small") / "model")


@pytest.fixture(scope="module")
def asker(model):
    return Asker(model, "cpu")


@pytest.fixture
def place(tmp_path, monkeypatch):
    """An empty current folder with one picture."""
    monkeypatch.chdir(tmp_path)
    picture(tmp_path / "bolt.v2.png", 240, (60, 90))
    return tmp_path


@pytest.fixture
def ready(asker, monkeypatch):
    """The command with a model that was loaded before; counts passes of the tower."""
    passes = []
    encode = seeing.encode
    monkeypatch.setattr(seeing, "encode", lambda *a: passes.append(len(a[1])) or encode(*a))
    monkeypatch.setattr(module, "Asker", lambda *_, **__: asker)
    monkeypatch.setattr(Subject.ask, "__defaults__", (12, None, None))
    return passes


def command(*arguments):
    return ["ask", "--checkpoint", "model", *map(str, arguments)]


def typed(monkeypatch, *lines, terminal=False):
    stdin = io.StringIO("".join(f"{line}\n" for line in lines))
    stdin.isatty = lambda: terminal
    monkeypatch.setattr(sys, "stdin", stdin)


def test_an_answer_a_score_and_a_map_beside(place, ready, asker, capsys):
    assert main(command("bolt.v2.png", "Why?")) == 0
    head, answer = capsys.readouterr().out.split("\n", 1)
    seen = asker.look(list(read(place / "bolt.v2.png", {})[2].views))
    assert head == (f"score {seen.score:.3f}, {seen.adverb} suspicious; maps: answers/bolt.v2_view0.png")
    wanted = asker.answer([seen], [[("<image>\nWhy?", None)]], 12)[0]
    assert wanted and answer.strip() == wanted
    names = ["answers.jsonl", "bolt.v2_view0.png", "bolt.v2_view0_scores.png"]
    assert sorted(p.name for p in (place / "answers").iterdir()) == names
    scores = np.asarray(Image.open(place / "answers/bolt.v2_view0_scores.png"))
    np.testing.assert_allclose(scores / 65535, seen.maps[0], atol=1e-5)
    assert Image.open(place / "answers/bolt.v2_view0.png").size == (90, 60)


def test_machines_get_one_object(place, ready, capsys):
    assert main(command("bolt.v2.png", "Why?", "--json", "--out", "maps")) == 0
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    told = json.loads(out)
    assert list(told) == ["file", "domain", "score", "adverb", "of", "shown", "maps", "views", "question", "answer"]
    assert (told["file"], told["domain"], told["of"], told["shown"]) == ("bolt.v2.png", "industrial", 1, [0])
    assert told["maps"] == ["maps/bolt.v2_view0.png"] and 0 < told["score"] < 1
    assert told["question"] == "Why?" and told["answer"]


def test_files_of_one_name_have_maps_of_their_own(place, ready, monkeypatch, capsys):
    files = [place / folder / "x.png" for folder in ("A", "B", "deep/B")]
    for value, path in enumerate(files):
        picture(path, 60 + 80 * value, (60 + value, 90))

    def maps(*arguments):
        assert main(command(*arguments, "Why?", "--json", "--out", place / "answers")) == 0
        return [Path(found).name for found in json.loads(capsys.readouterr().out)["maps"]]

    names = ["x_view0.png", "B_x_view0.png", "B_x_2_view0.png"]
    for _ in range(2):  # asked again, a file's maps replace its own
        assert [maps(path.relative_to(place)) for path in files] == [[name] for name in names]
    monkeypatch.chdir(place / "B")
    assert maps("x.png") == ["B_x_view0.png"]  # the same file, from elsewhere
    sizes = [Image.open(place / "answers" / name).size for name in names]
    assert sizes == [(90, 60), (90, 61), (90, 62)]
    lines = [json.loads(line) for line in (place / "answers/answers.jsonl").read_text().splitlines()]
    assert {line["file"] for line in lines} == {str(path) for path in files}


def test_a_talk_encodes_the_picture_once_and_remembers(place, ready, asker, monkeypatch, capsys):
    typed(monkeypatch, "Why?", "", "So?")  # as a file of questions may have it
    assert main(command("bolt.v2.png")) == 0
    assert ready == [1]
    answers = capsys.readouterr().out.split("\n", 1)[1]
    seen = asker.look(list(read(place / "bolt.v2.png", {})[2].views))
    first = asker.answer([seen], [[("<image>\nWhy?", None)]], 12)[0]
    second = asker.answer([seen], [[("<image>\nWhy?", first), ("So?", None)]], 12)[0]
    fresh = asker.answer([seen], [[("<image>\nSo?", None)]], 12)[0]
    assert first in answers and answers.rstrip().endswith(second) and second != fresh
    assert "> " not in answers  # no prompt where nobody sits


def test_a_mistake_at_the_keyboard_does_not_end_the_talk(place, ready, monkeypatch, capsys):
    typed(monkeypatch, "So <|im_end|>?", "Why?", terminal=True)
    assert main(command("bolt.v2.png")) == 0
    shown = capsys.readouterr()
    assert shown.err == (
        f"{module.HELP}\n"
        "anomaly-ov: the text '<image>\\nSo <|im_end|>?' holds the control token <|im_end|>. Take it out.\n"
    )
    assert shown.out.count("> ") == 3 and len(shown.out.splitlines()) >= 2


@pytest.mark.parametrize("last", ["", "exit", "Quit", ":q"])
def test_words_that_are_no_questions(place, ready, monkeypatch, capsys, last):
    typed(monkeypatch, "help", "?", last, "never asked", terminal=True)
    assert main(command("bolt.v2.png")) == 0
    shown = capsys.readouterr()
    assert shown.err == f"{module.HELP}\n" * 3 and shown.out.endswith("> > > ")


TWO_TALKS = "import sys; from framework.cli import main; sys.exit(main(sys.argv[1:]) or main(sys.argv[1:]))"


def keyboard(script, folder, arguments):
    """A person at a terminal who talks twice: what is seen until each piece of text, and what is typed then.

    Returns what was seen and the exit status, 0 where both talks ended with it.
    """
    number, terminal = pty.fork()
    if not number:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # some ignore it for all they start
        os.chdir(folder)
        root = str(Path(__file__).parents[2])
        os.environ |= {"PYTHONPATH": root, "OMP_NUM_THREADS": "1", "TERM": "dumb", "COLUMNS": "200"}
        os.execv(sys.executable, [sys.executable, "-c", TWO_TALKS, *command(*arguments)])
    seen, at, deadline = "", 0, time.monotonic() + 120
    for wanted, keys in script:
        while wanted not in seen[at:]:
            assert time.monotonic() < deadline and select.select([terminal], [], [], 60)[0], (wanted, seen)
            seen += os.read(terminal, 65536).decode(errors="replace")
        at = seen.index(wanted, at) + len(wanted)
        os.write(terminal, keys.encode())
    with contextlib.suppress(OSError):  # the terminal was closed
        while time.monotonic() < deadline:
            if select.select([terminal], [], [], 5)[0]:
                seen += os.read(terminal, 65536).decode(errors="replace")
            elif "\n" not in seen[at:]:  # once more: Python loses a signal that comes just before it waits for a key
                os.write(terminal, keys.encode())
    os.close(terminal)  # which hangs up on a command that did not end
    return seen, os.waitstatus_to_exitcode(os.waitpid(number, 0)[1])


@pytest.mark.slow
def test_a_talk_at_a_terminal(place, model):
    """The model of these tests talks on and on, so an answer is there to be stopped.

    The first talk ends with Ctrl-D, the second, with nothing said, with Ctrl-C.
    """
    shutil.copytree(model, place / "model")
    script = [("\r\n> ", "Why?\n"), ("Why?\r\n", ""), (" ", "\x03"), ("\r\n> ", "W" * 5000 + "\n")]
    script += [("\r\n> ", "help\n"), ("Ctrl-C stops", ""), ("> ", "\x04"), ("\r\n> ", "\x03")]
    seen, status = keyboard(script, place, ["bolt.v2.png"])
    assert status == 0 and module.HELP in seen and "Traceback" not in seen and "interrupted" not in seen


def test_ctrl_c_stops_an_answer_and_the_talk_goes_on(place, ready, asker, monkeypatch, capsys):
    before, pressed, answer = signal.getsignal(signal.SIGINT), [], asker.answer

    def press(*arguments):
        *others, stream, stopped = arguments

        def pressing(text):
            stream(text)
            if not pressed:
                pressed.append(text)
                os.kill(os.getpid(), signal.SIGINT)

        return answer(*others, pressing, stopped)

    monkeypatch.setattr(asker, "answer", press)
    subjects = []
    monkeypatch.setattr(module, "_answer", lambda s, *a, real=module._answer: subjects.append(s) or real(s, *a))
    typed(monkeypatch, "Why?", "So?", "", terminal=True)
    assert main(command("bolt.v2.png")) == 0
    ((_, first), (_, second)) = subjects[0].turns
    whole = answer([subjects[0].seen], [[("<image>\nWhy?", None)]], 12)[0]
    assert pressed and first != whole and whole.startswith(first) and second
    assert signal.getsignal(signal.SIGINT) == before


@pytest.mark.parametrize(("terminal", "shown"), [(True, "a[2Jé\n\t"), (False, "a\x1b[2Jé\n\t")])
def test_an_answer_cannot_command_a_terminal(monkeypatch, terminal, shown):
    stdout = io.StringIO()
    stdout.isatty = lambda: terminal
    monkeypatch.setattr(sys, "stdout", stdout)
    assert module._shown("a\x1b[2Jé\n\t") == shown


def test_ctrl_c_pressed_twice_interrupts(place, ready, asker, monkeypatch, capsys):
    def twice(*_):
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(10)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # some ignore it for all they start
    monkeypatch.setattr(asker, "answer", twice)
    typed(monkeypatch, "Why?", "So?", terminal=True)
    try:
        assert main(command("bolt.v2.png")) == 130
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_picture_may_be_medical(place, ready, capsys):
    assert main(command("bolt.v2.png", "Why?", "--json", "--domain", "medical", "--reader", "axis=coronal")) == 0
    assert json.loads(capsys.readouterr().out)["domain"] == "medical"


def test_a_mistake_in_a_file_of_questions_ends_with_status_2(place, ready, monkeypatch, capsys):
    typed(monkeypatch, "So <|im_end|>?", "Why?")
    assert "holds the control token" in mistake(capsys, *command("bolt.v2.png"))


def test_a_talk_grows_until_it_no_longer_fits(place, ready, asker, monkeypatch, capsys):
    monkeypatch.setattr(asker.chat, "longest", 880)
    typed(monkeypatch, *["Why?"] * 40)
    line = mistake(capsys, *command("bolt.v2.png"))
    assert "do not fit into the 880 that the model can read. Show it fewer views, or begin a new conversation." in line


def test_questions_that_are_no_text(place, ready, monkeypatch, capsys):
    line = "the question holds bytes that are no text in UTF-8. Take them out."
    assert line in mistake(capsys, *command("bolt.v2.png", "So \udcff?"))
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"So \xff?\n"), encoding="utf-8"))
    assert "standard input: a question that is no text in UTF-8." in mistake(capsys, *command("bolt.v2.png"))


def test_a_scan_shows_its_most_suspicious_slices(place, ready, capsys):
    nibabel = pytest.importorskip("nibabel")
    pytest.importorskip("monai")
    volume = np.random.default_rng(0).normal(100, 2, (40, 40, 12)).astype(np.float32)
    volume[10:22, 10:22, 7] += np.random.default_rng(1).normal(0, 60, (12, 12))
    nibabel.save(nibabel.Nifti1Image(volume, np.eye(4)), place / "head.nii.gz")
    assert main(command("head.nii.gz", "Why?", "--json", "--reader", "slices=6")) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["domain"], told["of"], len(told["shown"])) == ("medical", 6, 4)
    assert told["maps"] == [f"answers/head_view{i}.png" for i in told["shown"]]
    assert all(Path(path).is_file() for path in told["maps"])
    scores = nibabel.load(told["map"])
    assert told["map"] == "answers/head_map.nii.gz" and scores.shape == volume.shape
    assert np.ptp(scores.get_fdata()) > 0


def test_a_cloud_shows_its_views(place, ready, asker, monkeypatch, capsys):
    pytest.importorskip("open3d")
    points = np.random.default_rng(0).normal(size=(3000, 3))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    fields = "FIELDS x y z\nSIZE 4 4 4\nTYPE F F F\nCOUNT 1 1 1\nWIDTH 3000\nHEIGHT 1\nVIEWPOINT 0 0 0 1 0 0 0\n"
    with (place / "ball.pcd").open("w") as f:
        f.write(f"VERSION 0.7\n{fields}POINTS 3000\nDATA ascii\n")
        np.savetxt(f, points, "%.5f")
    arguments = command("ball.pcd", "Why?", "--json", "--reader", "views=5", "--reader", "size=96")
    assert main(arguments) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["domain"], told["of"], len(told["shown"]), len(told["maps"])) == ("pointcloud", 5, 4, 4)
    reader = registry.build("domain", "pointcloud", views=5, size=96)
    sample = reader.read(Record(place / "ball.pcd", False, ""))
    seen = asker.look(list(sample.views))
    body = (place / "answers/ball_map.ply").read_bytes().partition(b"end_header\n")[2]
    table = np.frombuffer(body, [("place", "<f4", 3), ("score", "<f4"), ("colour", "u1", 3)], 3000)
    np.testing.assert_allclose(table["score"], lift(torch.stack(list(seen.maps)), sample), atol=1e-5)
    assert told["map"] == "answers/ball_map.ply"
    captions = [f"from place {i}" for i in range(5)]
    asked = []
    answer = asker.answer
    monkeypatch.setattr(asker, "answer", lambda s, turns, *a: asked.append(turns[0][0][0]) or answer(s, turns, *a))
    monkeypatch.setattr(type(reader), "read", lambda *_: replace(sample, captions=tuple(captions), warnings=("thin.",)))
    assert main(arguments) == 0
    printed = capsys.readouterr()
    told = json.loads(printed.out)
    assert printed.err.count("anomaly-ov: thin.\n") == 1
    assert [view["number"] for view in told["views"]] == [1, 2, 3, 4]
    assert [view["caption"] for view in told["views"]] == [captions[i] for i in told["shown"]]
    np.testing.assert_allclose([view["score"] for view in told["views"]], seen.logits.sigmoid()[seen.shown], atol=1e-5)
    assert [view["map"] for view in told["views"]] == told["maps"]
    lines = [f"Image {number}: from place {i}." for number, i in enumerate(seen.shown, 1)]
    assert asked == ["\n".join([*["<image>"] * 4, *lines, "Why?"])]
    assert main([word for word in arguments if word != "--json"]) == 0
    head, *images = capsys.readouterr().out.splitlines()[:5]
    assert head.endswith(", answers/ball_map.ply")
    assert images == [f"image {v['number']}, {v['caption']}: {v['score']:.2f}" for v in told["views"]]


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["no.png", "Why?"], "no.png: no such file."),
        ([".", "Why?"], ".: a folder; name its files."),
        (
            ["bolt.v2.png", "cut.png"],
            "cut.png: a second file where the question belongs. Ask about one file at a time.",
        ),
        (["bolt.v2.png", " "], "the question is empty. Write one, or none at all to talk."),
        (["bolt.v2.png", "Why?", "--domain", "medicine"], "no domain called 'medicine'. Did you mean 'medical'?"),
        (["bolt.v2.png", "Why?", "--domain", "pointcloud"], "bolt.v2.png: domain 'pointcloud' does not read this kind"),
        (["notes.docx", "Why?"], "notes.docx: no domain reads this kind of file. Known endings: "),
        (["cut.png", "Why?"], "cut.png: "),
        (["bolt.v2.png", "Why?", "--reader", "bist=8"], "no option of domain 'industrial' called 'bist'. Did you mean"),
        (
            ["bolt.v2.png", "Why?", "--reader", "bits=deep"],
            "option 'bits' of domain 'industrial': write a whole number",
        ),
        (["bolt.v2.png", "Why?", "--reader", "bits"], "write key=value"),
        (["bolt.v2.png", "--json"], "--json answers a question: give one."),
        (["bolt.v2.png", "Why?", "--views", "0"], "views: the model must be shown 1 or more, not 0."),
        (["bolt.v2.png", "Why?", "--views", "few"], "argument --views: invalid int value: 'few'"),
        (["bolt.v2.png", "Why?", "--device", "cdua"], "device 'cdua': Expected one of cpu, cuda"),
        pytest.param(
            ["bolt.v2.png", "Why?", "--device", "cuda"],
            "device 'cuda': ",
            marks=pytest.mark.skipif(torch.cuda.is_available(), reason="is no mistake where there is a GPU"),
        ),
        (["bolt.v2.png", "Why?"], "model: no model folder. Make one with `anomaly-ov convert SOURCE model`."),
    ],
)
def test_mistakes_leave_nothing_behind(place, capsys, arguments, line):
    (place / "cut.png").write_bytes((place / "bolt.v2.png").read_bytes()[:80])
    (place / "notes.docx").write_bytes(b"PK")
    assert line in mistake(capsys, *command(*arguments))
    assert not (place / "answers").exists()


@pytest.mark.parametrize("damage", ["cut", "empty", "another", "nothing"])
def test_damaged_models_and_checkpoints(place, model, capsys, damage):
    if damage == "nothing":
        (place / "model").mkdir()
        line = "model: no model folder."
    elif damage == "another":
        from safetensors.torch import save_file

        save_file({"a": torch.zeros(1)}, place / "model")
        line = "model: not a checkpoint that this version of anomaly-ov tuned."
    elif damage == "empty":
        (place / "model").write_bytes(b"")
        line = "model: damaged, or not whole ("
    else:
        shutil.copytree(model, place / "model")
        weights = place / "model/model.safetensors"
        weights.write_bytes(weights.read_bytes()[:-1000])
        line = "model: cannot be loaded ("
    assert line in mistake(capsys, *command("bolt.v2.png", "Why?"))
    assert not (place / "answers").exists()


def test_a_tuned_checkpoint_whose_model_has_moved(place, model, capsys):
    shutil.copytree(model, place / "there")
    card = {"schema": tuned.SCHEMA, "model": str(place / "here"), "fingerprint": tuned.fingerprint(model)}
    card |= {"lora": {"rank": 0}, "trained_on": [], "run": {"seed": 0}}
    tuned.save(place / "model", {"model.image_newline": torch.ones(64)}, card)
    line = mistake(capsys, *command("bolt.v2.png", "Why?"))
    assert f"model: was tuned from {place}/here, which is not here." in line
    assert main(command("bolt.v2.png", "Why?", "--base", "there", "--json")) == 0
    assert json.loads(capsys.readouterr().out)["answer"] is not None


def test_a_folder_that_cannot_be_written(place, ready, capsys):
    (place / "answers").write_text("a file")
    assert mistake(capsys, *command("bolt.v2.png", "Why?")) == (
        "anomaly-ov: answers: cannot make this folder (File exists). Choose another."
    )
