from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import threading
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from napari_al.core.clicks import Clicks
from napari_al.core.geometry.masks import Mask
from napari_al.errors import InputError
from napari_al.methods.queries import Answer, AutomaticCorrection, Piece, Query, Region
from napari_al.session.log import log_file
from napari_al.session.log.log import AnnotationLog, LogWriteError

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[3]
MASK = Mask((2, 3, 6, 9), (1, 10, 3, 10))


def answer(class_id: int = 1, image: str = "a/b") -> Answer:
    query = Query(Region(image, (4, 7), MASK), "dominant", 0.25, 1, 0)
    return Answer(query, (class_id,), Clicks(1), seconds=1.5, annotator="kim")


def correction(new_class: int = 2) -> AutomaticCorrection:
    return AutomaticCorrection(1, Region("a/b", (9,), MASK), 0, new_class, 0.995)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "annotations.sqlite"


@pytest.fixture
def log(path: Path) -> Iterator[AnnotationLog]:
    with AnnotationLog(path) as log:
        yield log


# -- every kind of record comes back as it was

QUERY = Query(Region("a/b", (4, 7), MASK), "dominant", 0.25, 1, 0)
CASES = {
    "dominant": Answer(QUERY, (3,), Clicks(1)),
    "skipped": Answer(QUERY, (), Clicks(), outcome="skipped"),
    "unsure": Answer(QUERY, (), Clicks(1), outcome="unsure"),
    "ignored": Answer(QUERY, (), Clicks(1), outcome="ignored", annotator=""),
    "multi-class": Answer(replace(QUERY, query_type="multi-class"), (0, 254, 3), Clicks(3)),
    "correction": Answer(
        replace(QUERY, query_type="correction", pixel_rc=(3, 4), pseudo_label=255), (0,), Clicks(1)
    ),
    "precise": Answer(
        replace(QUERY, query_type="precise", score=-1e-300),
        (1, 2),
        Clicks(2, 9, 4),
        pieces=(Piece(1, MASK), Piece(2, Mask((2, 3, 3, 4), (0, 1)))),
    ),
    "other scripts": Answer(replace(QUERY, region=Region("강/ü.v2 b", (0,), MASK)), (1,), Clicks()),
}


@pytest.mark.parametrize("name", CASES)
def test_answers_come_back_as_they_were(name: str, path: Path) -> None:
    with AnnotationLog(path) as log:
        assert log.append([CASES[name]]) == 1
        assert log.active() == (CASES[name],)
    with AnnotationLog(path, read_only=True) as log:
        assert log.active() == (CASES[name],)


def test_numpy_numbers_are_stored_as_numbers(log: AnnotationLog) -> None:
    import numpy as np

    given = answer()
    region = Region("a/b", tuple(np.array([4, 7])), MASK)
    query = replace(given.query, region=region, score=np.float32(0.25))  # type: ignore[arg-type]
    log.append([replace(given, query=query, class_ids=(np.uint8(1),))])  # type: ignore[arg-type]
    assert log.active() == (given,)
    assert type(log.active()[0].class_ids[0]) is int


# -- order, undo, redo


def test_undo_covers_answers_bulk_amendments_and_corrections_in_order(log: AnnotationLog) -> None:
    first, *bulk = (answer(n) for n in range(4))
    log.append([first])
    log.append(bulk)
    log.add_corrections([correction(1), correction(2)], accepted=True)
    changed = answer(9)
    log.amend(first.id, changed)
    log.add_corrections([correction(3)], accepted=False)
    assert log.active() == (*bulk, changed)
    assert log.corrections() == (correction(1), correction(2))
    assert log.corrections(accepted=False) == (correction(3),)

    assert log.undo() == (correction(3),)
    assert log.undo() == (changed,)
    assert log.active() == (first, *bulk)
    assert log.undo() == (correction(1), correction(2))
    assert log.corrections() == log.corrections(accepted=False) == ()
    assert log.undo() == tuple(bulk)
    assert log.undo() == (first,)
    assert log.undo() == ()
    assert not log.can_undo
    assert log.redo() == (first,)
    assert log.redo() == tuple(bulk)
    log.append([answer()])
    assert not log.can_redo
    assert log.redo() == ()
    assert log.last_seq == 13
    assert log.active(2) == (first, *bulk)
    assert log.active(5) == (*bulk, changed)
    assert log.active(0) == ()


Model = tuple[tuple[Answer, ...], tuple[AutomaticCorrection, ...], tuple[AutomaticCorrection, ...]]


class LogAgainstLists(RuleBasedStateMachine):
    """The log against a list of states and a finger on the one in force."""

    def __init__(self) -> None:
        super().__init__()
        import tempfile

        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "annotations.sqlite"
        self.log = AnnotationLog(self.path)
        self.states: list[Model] = [((), (), ())]
        self.finger = 0
        self.by_seq: list[Model] = [self.states[0]]

    def teardown(self) -> None:
        self.log.close()
        self.folder.cleanup()

    @property
    def now(self) -> Model:
        return self.states[self.finger]

    def go_to(self, state: Model) -> None:
        self.states = [*self.states[: self.finger + 1], state]
        self.finger += 1
        self.by_seq.append(state)

    @rule(n=st.integers(1, 3))
    def append(self, n: int) -> None:
        new = tuple(answer(i) for i in range(n))
        assert self.log.append(new) == len(self.by_seq)
        self.go_to((self.now[0] + new, *self.now[1:]))

    @precondition(lambda self: self.now[0])
    @rule(data=st.data())
    def amend(self, data: st.DataObject) -> None:
        old = data.draw(st.sampled_from(self.now[0]))
        new = answer(7)
        self.log.amend(old.id, new)
        self.go_to(((*(a for a in self.now[0] if a != old), new), *self.now[1:]))

    @rule(n=st.integers(1, 2), accepted=st.booleans())
    def decide(self, n: int, accepted: bool) -> None:
        new = tuple(correction(i) for i in range(n))
        self.log.add_corrections(new, accepted=accepted)
        answers, yes, no = self.now
        self.go_to((answers, yes + new, no) if accepted else (answers, yes, no + new))

    @rule()
    def undo(self) -> None:
        assert bool(self.log.undo()) == (self.finger > 0)
        if self.finger:
            self.finger -= 1
            self.by_seq.append(self.now)

    @rule()
    def redo(self) -> None:
        can = self.finger + 1 < len(self.states)
        assert bool(self.log.redo()) == can
        if can:
            self.finger += 1
            self.by_seq.append(self.now)

    @rule()
    def open_again(self) -> None:
        self.log.close()
        self.log = AnnotationLog(self.path)

    @invariant()
    def same(self) -> None:
        assert self.log.last_seq == len(self.by_seq) - 1
        assert self.seen(None) == self.now
        assert self.log.can_undo == (self.finger > 0)
        assert self.log.can_redo == (self.finger + 1 < len(self.states))
        for seq in {0, self.log.last_seq // 2, self.log.last_seq}:
            assert self.seen(seq) == self.by_seq[seq]

    def seen(self, seq: int | None) -> Model:
        log = self.log
        return log.active(seq), log.corrections(seq), log.corrections(seq, accepted=False)


TestLogAgainstLists = LogAgainstLists.TestCase
TestLogAgainstLists.settings = settings(
    max_examples=25,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)


# -- what is refused


def test_refusals_leave_the_log_as_it_was(log: AnnotationLog) -> None:
    kept = answer()
    log.append([kept])
    twice = answer()
    refused = [
        lambda: log.append([]),
        lambda: log.append([kept]),
        lambda: log.append([twice, twice]),
        lambda: log.append([answer(), replace(answer(), class_ids=())]),
        lambda: log.append([replace(answer(), seconds=float("nan"))]),
        lambda: log.append([replace(answer(), annotator="\ud800")]),
        lambda: log.append([replace(answer(), annotator=object())]),  # type: ignore[arg-type]
        lambda: log.amend("nobody", answer()),
        lambda: log.amend(kept.id, kept),
        lambda: log.add_corrections([], accepted=True),
        lambda: log.active(2),
        lambda: log.active(-1),
    ]
    for call in refused:
        with pytest.raises(InputError):
            call()
        assert log.last_seq == 1
        assert log.active() == (kept,)
    log.undo()
    with pytest.raises(InputError, match="new id"):
        log.append([kept])


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE answers SET payload = '{}'",
        "DELETE FROM answers",
        "UPDATE entries SET kind = 'undo'",
        "DELETE FROM entries",
        "DELETE FROM corrections",
    ],
)
def test_entries_cannot_be_changed(statement: str, log: AnnotationLog, path: Path) -> None:
    log.append([answer()])
    log.add_corrections([correction()], accepted=True)
    with (
        sqlite3.connect(path) as other,
        pytest.raises(sqlite3.IntegrityError, match="append-only"),
    ):
        other.execute(statement)
    other.close()


# -- several programs


def test_reading_while_another_process_writes(path: Path, log: AnnotationLog) -> None:
    script = (
        "import sys; sys.path[:0] = sys.argv[2:]\n"
        "from pathlib import Path\n"
        "from napari_al.session.log.log import AnnotationLog\n"
        "log = AnnotationLog(Path(sys.argv[1]), read_only=True)\n"
        "for line in sys.stdin:\n"
        "    log.refresh(); print(log.last_seq, len(log.active()), flush=True)\n"
    )
    log.append([answer()])
    command = [sys.executable, "-c", script, str(path), *sys.path]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as reader:
        assert reader.stdin is not None
        assert reader.stdout is not None
        for n in range(2, 12):
            log.append([answer(), answer()])
            reader.stdin.write(b"\n")
            reader.stdin.flush()
            assert reader.stdout.readline().split() == [b"%d" % n, b"%d" % (2 * n - 1)]
        reader.stdin.close()
    assert reader.returncode == 0


def test_an_open_reader_does_not_hold_up_the_writer(path: Path, log: AnnotationLog) -> None:
    with AnnotationLog(path, read_only=True) as reader:
        log.append([answer()])
        assert reader.last_seq == 0
        assert reader.refresh()
        assert not reader.refresh()
        assert reader.active() == log.active()
        with pytest.raises(LogWriteError, match="reading only"):
            reader.append([answer()])


def test_looking_leaves_nothing_behind(path: Path, log: AnnotationLog) -> None:
    """What a reader of another user leaves beside the log would keep its owner from writing."""
    log.append([answer()])
    log.close()
    before = sorted(path.parent.iterdir())
    with AnnotationLog(path, read_only=True) as reader:
        assert sorted(path.parent.iterdir()) == before
        assert not reader.refresh()
        assert reader.last_seq == 1
    assert sorted(path.parent.iterdir()) == before


def test_a_reader_follows_writers_that_come_and_go(path: Path, log: AnnotationLog) -> None:
    log.append([answer()])
    log.close()
    with AnnotationLog(path, read_only=True) as reader:
        for n in (2, 4, 6):
            with AnnotationLog(path) as writer:
                writer.append([answer()])
                assert reader.refresh()
                assert reader.last_seq == n
                writer.append([answer()])
            assert reader.refresh()
            assert not reader.refresh()
            assert reader.active() == writer.active()
        path.unlink()
        assert not reader.refresh()
        assert reader.last_seq == 7


def test_a_second_writer_is_noticed(path: Path, log: AnnotationLog) -> None:
    with AnnotationLog(path) as other:
        other.append([answer()])
        with pytest.raises(LogWriteError, match="another program"):
            log.append([answer()])
    assert log.last_seq == 0


def test_threads_take_turns(log: AnnotationLog) -> None:
    def write() -> None:
        for _ in range(20):
            log.append([answer()])

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert log.last_seq == len({a.id for a in log.active()}) == 80


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="permissions are of another kind here")
def test_read_only_folder(path: Path) -> None:
    """With the write-ahead log still beside it, as a copy of a project in use would have."""
    script = (
        "import os, sys; sys.path[:0] = sys.argv[2:]\n"
        "from pathlib import Path\n"
        "from napari_al.session.log.log import AnnotationLog\n"
        "if os.geteuid() == 0: os.seteuid(65534)\n"
        "with AnnotationLog(Path(sys.argv[1]), read_only=True) as log: print(log.active()[0].id)\n"
        "try: AnnotationLog(Path(sys.argv[1]))\n"
        "except ValueError as error: print(type(error).__name__)\n"
    )
    # not below pytest's folder, which other users cannot enter
    with TemporaryDirectory() as folder:
        copy = Path(folder)
        with AnnotationLog(path) as log:
            log.append([answer()])
            for name in (path.name, path.name + "-wal"):
                (copy / name).write_bytes(path.with_name(name).read_bytes())
            expected = log.active()
        copy.chmod(0o555)
        before = sorted(copy.iterdir())
        done = subprocess.run(
            [sys.executable, "-c", script, str(copy / path.name), *sys.path],
            capture_output=True,
            text=True,
            check=False,
        )
        after = sorted(copy.iterdir())
        copy.chmod(0o755)
    assert done.stdout.split() == [expected[0].id, "LockedError"], done.stderr
    assert after == before


# -- a full disk, a crash


@pytest.fixture
def full_disk() -> Iterator[object]:
    """Call with a size in bytes that no file may pass from then on."""
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_full_disk_loses_nothing_and_says_so(path: Path, full_disk: object) -> None:
    assert callable(full_disk)
    kept = [answer() for _ in range(3)]
    with AnnotationLog(path) as log:
        log.append(kept)
        full_disk(path.with_name(path.name + "-wal").stat().st_size + 30_000)
        with pytest.raises(LogWriteError, match="make room"):
            log.append([answer() for _ in range(500)])
        assert log.active() == tuple(kept)
        with AnnotationLog(path, read_only=True) as reader:
            assert reader.active() == tuple(kept)
        full_disk(-1)
        kept.append(answer())
        assert log.append(kept[-1:]) == 2
    with AnnotationLog(path) as log:
        assert log.active() == tuple(kept)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
def test_killed_writers_lose_nothing() -> None:
    """15 here; ``benchmarks/kill_log.py --trials 200`` for more."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / "kill_log.py"), "--trials", "15"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "nothing lost" in done.stdout


def test_every_commit_waits_for_the_disk(path: Path) -> None:
    opened = log_file.open_to_write(path)
    assert opened.connection.execute("PRAGMA synchronous").fetchone() == (2,)
    assert opened.connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    opened.close()


# -- files that are not what they should be


def tampered(path: Path, *statements: str) -> None:
    """Write a log of three entries, then change it as its triggers would not allow."""
    with AnnotationLog(path) as log:
        log.append([answer()])
        log.undo()
        log.add_corrections([correction()], accepted=True)
    connection = sqlite3.connect(path)
    triggers = connection.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'")
    triggers = triggers.fetchall()
    for name, _ in triggers:
        connection.execute(f"DROP TRIGGER {name}")
    of_tables = [s for s in statements if not s.startswith(("DROP", "CREATE"))]
    of_schema = [s for s in statements if s.startswith(("DROP", "CREATE"))]
    for statement in (*of_tables, *(sql for _, sql in triggers), *of_schema):
        connection.execute(statement)
    connection.commit()
    connection.close()


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("UPDATE entries SET kind = 'answer' WHERE seq = 2", "entry 2 .* parts"),
        ("UPDATE entries SET kind = 'nonsense' WHERE seq = 1", "entry 1 .* parts"),
        ("UPDATE entries SET target = 7 WHERE seq = 2", "entry 2 .* not the newest"),
        ("UPDATE entries SET kind = 'redo' WHERE seq = 2", "entry 2 .* not the last undone"),
        ("DELETE FROM entries WHERE seq = 2", "entry 2 .* missing"),
        ("DELETE FROM answers", "entry 1 .* parts"),
        ("UPDATE answers SET entry = 99", "entry 1 .* parts"),
        ("UPDATE corrections SET entry = 99", "entry 3 .* parts"),
        ("INSERT INTO corrections VALUES (9, 99, '{}')", "of no entry"),
        ("UPDATE answers SET id = 'other'", "filed as 'other'"),
        ("UPDATE answers SET replaces = 'nobody'", "never given"),
        ("UPDATE answers SET payload = '{}'", "entry 1 .*Field required|Missing"),
        ("UPDATE answers SET payload = 'null'", "entry 1 cannot be used"),
        ("UPDATE corrections SET payload = '[]'", "entry 3 cannot be used"),
        ("UPDATE facts SET value = '4'", "version 4"),
        ("UPDATE facts SET value = '0'", "version 0"),
        ("UPDATE facts SET value = 'x'", "no annotation log"),
        ("DELETE FROM facts", "no annotation log"),
        ("DROP TABLE corrections", "corrections"),
        ("DROP TRIGGER answers_no_delete", "answers_no_delete"),
        ("ALTER TABLE answers ADD COLUMN more TEXT", "answers"),
        (
            "CREATE TRIGGER t AFTER INSERT ON entries BEGIN SELECT 1; END",
            r"changed \(t\)",
        ),
    ],
)
@pytest.mark.parametrize("read_only", [False, True])
def test_tampered_files_are_refused(
    statement: str, message: str, read_only: bool, path: Path
) -> None:
    tampered(path, statement)
    with pytest.raises(InputError, match=message):
        AnnotationLog(path, read_only=read_only)


@pytest.mark.parametrize("read_only", [False, True])
@pytest.mark.parametrize(
    "content", [b"not a database, but long enough to be looked at" * 99, b"SQLite format 3\0"]
)
def test_foreign_files_are_refused(content: bytes, read_only: bool, path: Path) -> None:
    path.write_bytes(content)
    with pytest.raises(InputError):
        AnnotationLog(path, read_only=read_only)
    assert path.read_bytes() == content


def test_foreign_database_is_refused_untouched(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE mine (x)")
    connection.close()
    with pytest.raises(InputError, match="no annotation log"):
        AnnotationLog(path)


def test_missing_file(path: Path) -> None:
    with pytest.raises(InputError, match="no annotation log"):
        AnnotationLog(path, read_only=True)
    with pytest.raises(InputError, match="folder"):
        AnnotationLog(path.parent / "missing" / "annotations.sqlite")


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_damaged_bytes_are_refused_or_harmless(data: st.DataObject, tmp_path: Path) -> None:
    path = tmp_path / "annotations.sqlite"
    if not path.exists():
        tampered(path)
    original = path.read_bytes()
    damaged = bytearray(original)
    for _ in range(data.draw(st.integers(1, 20))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    del damaged[data.draw(st.integers(len(damaged) // 2, len(damaged))) :]
    copy = tmp_path / "damaged.sqlite"
    copy.write_bytes(damaged)
    with suppress(InputError):
        AnnotationLog(copy).close()
    for left in tmp_path.glob("damaged.sqlite*"):
        left.unlink()


def test_older_version_is_migrated_and_kept(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with AnnotationLog(path) as log:
        log.append([answer()])
        expected = log.active()
    monkeypatch.setattr(log_file, "VERSION", 4)
    monkeypatch.setattr(
        log_file, "MIGRATIONS", {3: ("INSERT INTO facts VALUES ('colour', 'green')",)}
    )
    before = path.read_bytes()
    with AnnotationLog(path, read_only=True) as log:  # in a copy
        assert log.active() == expected
    assert path.read_bytes() == before
    with AnnotationLog(path) as log:
        assert log.active() == expected
    monkeypatch.undo()
    with AnnotationLog(path.with_name("annotations.v3.sqlite"), read_only=True) as log:
        assert log.active() == expected
    with pytest.raises(InputError, match="version 4"):
        AnnotationLog(path)


def test_a_log_of_version_2_is_read(path: Path) -> None:
    with AnnotationLog(path) as log:
        log.append([answer()])
        expected = log.active()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE facts SET value = '2' WHERE key = 'version'")
    connection.close()
    with AnnotationLog(path, read_only=True) as log:
        assert log.active() == expected
    with AnnotationLog(path) as log:
        assert log.active() == expected
    assert path.with_name("annotations.v2.sqlite").is_file()


def test_payload_is_compact_json(log: AnnotationLog, path: Path) -> None:
    log.append([answer()])
    with sqlite3.connect(path) as connection:
        (text,) = connection.execute("SELECT payload FROM answers").fetchone()
    connection.close()
    assert json.loads(text)["query"]["region"]["mask"]["runs"] == list(MASK.runs)
    assert " " not in text
