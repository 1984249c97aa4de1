"""Runs that are killed again and again, at random moments, until they are done."""
import random
import shutil
import time

from holds import Broken, Truth
from runs import Run

LONG = ["--set", "run.steps=3000", "--set", "run.evaluate_interval=170", "--set", "run.progress_seconds=10",
        "--set", "checkpoint.interval=50"]
NETWORK = "toy"


class Kills:
    """kill -9 so many times, at a random moment or in the middle of a random operation; resumed each time."""

    def __init__(self, table, ranks, seed):
        self.table, self.ranks, self.seed = table, ranks, seed
        begin = time.monotonic()
        whole = table.undisturbed("long", NETWORK, ranks, *LONG, "--set", "checkpoint.keep_last=1000")
        self.seconds = time.monotonic() - begin
        self.truth = Truth(whole.folder)
        self.place = table.setting.scratch / f"kills{ranks}"
        self.finished = 0

    def fault(self, draw):
        """Half of the kills are at an operation, the others are the driver's, by the clock."""
        if draw.random() < 0.5:
            return {}
        return {"FAULT_BELOW": f"{self.place}/run", "FAULT_DO": "KILL", "FAULT_AT": str(draw.randrange(1, 1500)),
                "FAULT_HALF": draw.choice(("yes", "no")), "FAULT_RANK": "0"}

    def once(self, number):
        """\return "survived", "missed": it was over before. Raises Broken, and the next one starts anew."""
        draw = random.Random(f"{self.seed} {self.ranks} {number}")
        fault = self.fault(draw)
        run = Run(self.table.setting, NETWORK, self.ranks, self.place, *LONG, "--resume", "auto", fault=fault)
        if not fault:
            self.kill_later(run, draw.uniform(0, self.seconds))
        code = run.wait()
        try:
            return self.check(run, code)
        except Broken:
            shutil.move(self.place, f"{self.place}-{number}")
            raise

    @staticmethod
    def kill_later(run, seconds):
        until = time.monotonic() + seconds
        while time.monotonic() < until and run.process.poll() is None:
            time.sleep(0.01)
        run.end()

    def check(self, run, code):
        if orphans := run.orphans():
            run.end()
            raise Broken(f"{len(orphans)} processes go on 30 s after the launcher's end")
        if code not in (0, 3, 137):
            raise Broken(f"ends with {code}, not 0, 3 or 137")
        if code != 0:
            if run.folder.exists():
                self.truth.check_folder(run.folder)
            return "survived"
        self.truth.check_end(run.folder)
        self.finished += 1
        shutil.rmtree(self.place)
        return "missed"


def kill_often(table, count, seed):
    """Three of four kills are of a run on one rank, the others of one on two."""
    for ranks, share in ((1, count - count // 4), (2, count // 4)):
        kills = Kills(table, ranks, seed)
        done, number = 0, 0
        while done < share:
            number += 1
            try:
                result, why = kills.once(number), ""
            except Broken as broken:
                result, why = "failed", str(broken)
            done += result != "missed"
            table.report.add(f"random x kill -9 on {ranks}", f"kill {number} of seed {seed} on {ranks}", result, why)
        print(f"{done} random kills on {ranks} ranks; {kills.finished} runs were resumed to their end")
