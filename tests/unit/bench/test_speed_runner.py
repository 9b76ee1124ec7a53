"""`make bench` runs contenders in turn, says what fails and goes on, and shows all of it."""

import json
import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from bench.alone import alone
from bench.errors import BenchError
from bench.speed.__main__ import chosen
from bench.speed.outcome import Outcome
from bench.speed.picture import picture
from bench.speed.place import Place, place
from bench.speed.runner import measure_all
from bench.speed.settings import read_settings
from bench.speed.stage import Measured, Stage
from bench.speed.stages import all_stages
from bench.speed.table import as_json, table
from tests.waiting import eventually


class Track:
    """Notes who ran, and where."""

    def __init__(self) -> None:
        self.ran: list[str] = []

    def contender(self, name: str, figure: float, broken: bool = False) -> "Runs":
        return Runs(self, name, figure, broken)


class Runs:
    def __init__(self, track: Track, name: str, figure: float, broken: bool) -> None:
        self._track, self._name, self._figure, self._broken = track, name, figure, broken

    def __call__(self, here: Place) -> Measured:
        assert list(here.folder.iterdir()) == []
        (here.folder / "left behind").touch()
        self._track.ran.append(self._name)
        if self._broken:
            raise BenchError("its server did not start")
        return self._figure


@pytest.fixture
def track() -> Track:
    return Track()


def make(track: Track, name: str = "post", *, broken: bool = False, needs: tuple[str, ...] = ()) -> Stage:
    contenders = {"A": track.contender("A", 90), "B": track.contender("B", 100, broken)}
    return Stage(name, "votes <b>", "the floor", "votes/s", 0.9, "at least", contenders, needs=needs)


def run(stages: list[Stage], folder: Path, *, rounds: int = 3) -> tuple[list[Outcome], list[str]]:
    lines: list[str] = []
    return measure_all(stages, rounds=rounds, seconds=1, folder=folder, say=lines.append), lines


def test_the_contenders_take_turns_each_in_a_fresh_place(track: Track, tmp_path: Path) -> None:
    [outcome], lines = run([make(track)], tmp_path)

    assert track.ran == ["A", "B"] * 3
    assert outcome.figures("B") == [100, 100, 100]
    assert "6/6 post, round 3 of 3, B: 100 votes/s" in lines[-1]


def test_a_failing_stage_says_so_and_the_next_one_is_measured(track: Track, tmp_path: Path) -> None:
    [bad, good], lines = run([make(track, "bad", broken=True), make(track, "good")], tmp_path)

    assert bad.failed == "B: its server did not start"
    assert good.missed() == []
    assert track.ran == ["A", "B"] + ["A", "B"] * 3
    assert any("bad: given up, B: its server did not start" in line for line in lines)
    assert "12/12" in lines[-1]


def test_a_stage_without_its_programs_is_skipped_with_what_to_do(track: Track, tmp_path: Path) -> None:
    [outcome], _ = run([make(track, needs=("no-such-program",))], tmp_path)

    assert track.ran == []
    assert outcome.skipped == "no no-such-program on PATH: install it to measure this"
    assert outcome.skipped in table([outcome], rounds=3, machine="2 cores")


def test_the_table_has_a_row_for_each_stage_with_ratio_goal_and_spread(track: Track, tmp_path: Path) -> None:
    outcomes, _ = run([make(track), make(track, "bad", broken=True)], tmp_path, rounds=2)
    text = table(outcomes, rounds=2, machine="2 cores")

    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert {line.count("|") for line in rows} == {9}
    assert "| 90.0 (90.0..90.0) | the floor | 100 (100..100) | votes/s | 0.90 | at least 0.90 | yes |" in rows[2]
    assert rows[3].endswith("| no |")
    assert "bad could not be measured: B: its server did not start" in text
    assert "Medians of 2 rounds" in text


def test_the_figures_for_programs_are_json_with_null_for_what_is_missing(track: Track, tmp_path: Path) -> None:
    outcomes, _ = run([make(track), make(track, "bad", broken=True)], tmp_path, rounds=1)

    figures = json.loads(json.dumps(as_json(outcomes, seconds=4, machine={"cores": "2"}), allow_nan=False))

    assert figures["stages"]["post"]["score"] == 0.9
    assert figures["stages"]["bad"]["score"] is None
    assert figures["stages"]["post"]["rounds"]["A"] == [{"figure": 90}]


def test_the_picture_is_an_svg_with_a_bar_for_each_stage(track: Track, tmp_path: Path) -> None:
    outcomes, _ = run([make(track), make(track, "bad", broken=True)], tmp_path, rounds=1)
    outcomes[0].add("A", 1)

    root = ET.fromstring(picture(outcomes))

    bars = [each for each in root.iter() if each.get("class") in ("good", "bad")]
    assert [bar.get("class") for bar in bars] == ["bad", "bad"]
    assert bars[1].get("width") == "0"
    assert float(bars[0].get("width") or 0) > 0


def test_the_servers_data_of_a_place_is_gone_afterwards(tmp_path: Path) -> None:
    with place(tmp_path / "run", 1) as here:
        (here.folder / "servers").mkdir()
    assert not (tmp_path / "run" / "servers").exists()


def test_a_process_of_a_place_is_gone_afterwards_with_what_it_started(tmp_path: Path) -> None:
    child = f"{sys.executable} -c 'import time; time.sleep(60)' & echo $! > {tmp_path}/child; wait"
    with place(tmp_path / "run", 1) as here:
        ready = (tmp_path / "child").exists
        with here.process(["/bin/sh", "-c", child], core=here.server_core, ready=ready) as process:
            pass
    assert process.poll() is not None
    child_id = (tmp_path / "child").read_text().strip()
    eventually(lambda: _is_gone(child_id), within=10)


def _is_gone(process: str) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except OSError:
        return True


def test_a_process_that_ends_before_it_is_ready_says_its_last_words(tmp_path: Path) -> None:
    with place(tmp_path / "run", 1) as here, pytest.raises(BenchError, match="no port for me"):  # noqa: SIM117
        with here.process(["/bin/sh", "-c", "echo no port for me"], core=here.server_core, ready=lambda: False):
            pass


def test_stages_are_chosen_by_name_and_an_unknown_name_lists_those_there_are(track: Track) -> None:
    stages = [make(track, "one"), make(track, "two")]

    assert [each.name for each in chosen(stages, (), None)] == ["one", "two"]
    assert [each.name for each in chosen(stages, ("two",), None)] == ["two"]
    assert [each.name for each in chosen(stages, (), {"one": 0.5})] == ["one"]
    with pytest.raises(BenchError, match="no stage 'three': name some of one, two"):
        chosen(stages, ("three",), None)
    with pytest.raises(BenchError, match="no stage 'gone'"):
        chosen(stages, (), {"gone": 0.5})


def test_every_stage_has_a_name_of_its_own_and_says_what_it_is() -> None:
    stages = all_stages()

    assert len({stage.name for stage in stages}) == len(stages) > 0
    assert all(stage.what and stage.against and stage.contenders for stage in stages)


def test_two_benches_at_once_are_refused(tmp_path: Path) -> None:
    with alone(tmp_path), pytest.raises(BenchError, match="wait for its end"), alone(tmp_path):
        pass


@pytest.mark.parametrize(("name", "value"), [("ROUNDS", "0"), ("ROUNDS", "x"), ("SECONDS", "0.5"), ("SECONDS", "nan")])
def test_a_setting_that_makes_no_sense_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)

    with pytest.raises(BenchError, match=f"^{name}={value}: give a number"):
        read_settings()


def test_an_unknown_stage_ends_make_bench_with_one_line(tmp_path: Path) -> None:
    environ = dict(os.environ, STAGES="nonsense", DATA_DIR=str(tmp_path))
    command = [sys.executable, "-m", "bench.speed"]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=30, check=False)

    assert done.returncode == 1
    assert done.stderr.startswith("there is no stage 'nonsense': name some of ")
    assert len(done.stderr.splitlines()) == 1
