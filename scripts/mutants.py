"""Compiles many mutants into one build, each behind a switch, and sees which of them no test notices.

A build for each of thousands of mutants takes days; one for all takes minutes, and then each costs the tests that reach it.
`cargo mutants` says what is changed; here each change becomes a branch of the expression, the arm, the field or the function
that it stands in. What does not compile there is taken out until the rest does.

Usage: mutants.py [--seconds N] [--integration] COPY MUTANTS.json KNOWN OUT

COPY: a copy of the repository, which is changed. MUTANTS.json: what `cargo mutants --list --json` says of it. KNOWN: those that
are known not to be noticed, with the reason. OUT gets a line of JSON for each mutant. --seconds: no mutant begins later than so
many seconds after the tests were built. --integration: what no unit test notices is tried with those of tests/it, too.
Exit 2: there are some that nobody noticed and that are not known; they are listed.
"""

import argparse
import bisect
import collections
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import time

import tree_sitter
import tree_sitter_rust

# Unit tests that take long under the switches, and prove rates and not branches; left out where time is bounded.
SLOW = (
    "judge::compare::simulation::the_judge_keeps_its_word",
    "judge::compare::simulation::the_stated_power_is_what_happens",
    "plan::load::tests::a_rules_file_of_four_megabytes_is_read",
    "check::smoke::script::tests::hostile_scripts_take_linear_time",
)

PARSER = tree_sitter.Parser(tree_sitter.Language(tree_sitter_rust.language()))

# The switch: one mutant is active in a process, or the first time that each is reached is written down.
SWITCH = """
pub(crate) mod mutant_switch {
    use std::io::Write;
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicBool, Ordering};

    struct State {
        active: u32,
        reached: Option<std::fs::File>,
    }
    static STATE: OnceLock<State> = OnceLock::new();
    static REACHED: [AtomicBool; COUNT] = [const { AtomicBool::new(false) }; COUNT];

    pub(crate) fn on(mutant: u32) -> bool {
        let state = STATE.get_or_init(|| {
            let told = std::fs::read_to_string("TOLD").unwrap_or_default();
            let reached = told.strip_prefix("trace ").and_then(|path| {
                std::fs::OpenOptions::new().append(true).create(true).open(path.trim()).ok()
            });
            State { active: told.trim().parse().unwrap_or(0), reached }
        });
        if let Some(mut file) = state.reached.as_ref() {
            if !REACHED[mutant as usize].swap(true, Ordering::Relaxed) {
                let _ = file.write_all(format!("{mutant}\\n").as_bytes());
            }
        }
        state.active == mutant
    }
}
"""


class File:
    """A source file with its mutants, by the node that each changes."""

    def __init__(self, path, mutants):
        self.path = path
        self.source = path.read_bytes()
        self.lines = self.source.split(b"\n")
        self.starts = [0]
        for line in self.lines:
            self.starts.append(self.starts[-1] + len(line) + 1)
        self.tree = PARSER.parse(self.source)
        self.sites = collections.defaultdict(list)
        self.unplaced = []
        for mutant in mutants:
            node = self.node_of(mutant)
            if node is None:
                self.unplaced.append(mutant)
            else:
                self.sites[(node.start_byte, node.end_byte, node.type)].append(mutant)
        self.marks = sorted(key[0] for key in self.sites)

    def offset(self, place):
        line = self.lines[place["line"] - 1].decode()
        return self.starts[place["line"] - 1] + len(line[: place["column"] - 1].encode())

    def node_of(self, mutant):
        start, end = self.offset(mutant["span"]["start"]), self.offset(mutant["span"]["end"])
        node = self.tree.root_node.descendant_for_byte_range(start, max(start, end - 1))
        genre = mutant["genre"]
        wanted = {
            "BinaryOperator": ("binary_expression", "compound_assignment_expr"),
            "UnaryOperator": ("unary_expression",),
            "MatchArmGuard": ("match_pattern",),
            "MatchArm": ("match_arm",),
            "StructField": ("field_initializer", "shorthand_field_initializer"),
            "FnValue": ("block",),
        }[genre]
        while node is not None and node.type not in wanted:
            if node.type in ("let_chain", "token_tree"):
                return None
            if genre == "FnValue" and node.type == "function_item":
                return None
            node = node.parent
        if genre == "FnValue":
            while node is not None and node.parent.type != "function_item":
                node = node.parent
        if node is not None and genre == "MatchArmGuard":
            node = node.parent
        return node

    def text(self, node):
        return self.source[node.start_byte : node.end_byte].decode()

    def has_mutants(self, node):
        at = bisect.bisect_left(self.marks, node.start_byte)
        return at < len(self.marks) and self.marks[at] < node.end_byte

    def render(self, node):
        if not self.has_mutants(node):
            return self.text(node)
        mutants = self.sites.get((node.start_byte, node.end_byte, node.type), [])
        if not mutants:
            return self.children(node)
        return getattr(self, "render_" + node.type)(node, mutants)

    def children(self, node, replaced=None):
        out, at = [], node.start_byte
        for child in node.children:
            out.append(self.source[at : child.start_byte].decode())
            out.append(replaced[child.id] if replaced and child.id in replaced else self.render(child))
            at = child.end_byte
        out.append(self.source[at : node.end_byte].decode())
        return "".join(out)

    @staticmethod
    def marked(mutant, text):
        return f"/*<{mutant['id']}*/{text}/*{mutant['id']}>*/"

    def on(self, mutant):
        return f"crate::mutant_switch::on({mutant['id']})"

    def render_binary_expression(self, node, mutants):
        left, right = node.child_by_field_name("left"), node.child_by_field_name("right")
        branches = "".join(
            self.marked(m, f"if {self.on(m)} {{ {self.text(left)} {m['replacement']} {self.text(right)} }}") + " else "
            for m in mutants
        )
        return f"({branches}{{ {self.children(node)} }})"

    def render_compound_assignment_expr(self, node, mutants):
        return self.render_binary_expression(node, mutants)[1:-1]

    def render_unary_expression(self, node, mutants):
        operand = node.children[-1]
        branches = "".join(self.marked(m, f"if {self.on(m)} {{ {self.text(operand)} }}") + " else " for m in mutants)
        return f"({branches}{{ {self.children(node)} }})"

    def render_match_arm(self, node, mutants):
        pattern = node.child_by_field_name("pattern")
        condition = pattern.child_by_field_name("condition")
        guard = None
        if condition is not None:
            if condition.type in ("let_chain", "let_condition"):
                self.unplaced.extend(mutants)
                return self.children(node)
            guard = f"({self.render(condition)})"
        for m in mutants:
            if m["genre"] == "MatchArmGuard" and m["replacement"] == "false":
                guard = self.marked(m, f"!{self.on(m)} && ") + guard
            elif m["genre"] == "MatchArmGuard":
                guard = f"({self.marked(m, self.on(m) + ' || ')}({guard}))"
        for m in mutants:
            if m["genre"] == "MatchArm":
                guard = self.marked(m, f"!{self.on(m)}" + (" && " if guard else "")) + (guard or "")
        end = condition.prev_sibling.start_byte if condition is not None else pattern.end_byte
        bare = self.source[pattern.start_byte : end].decode()
        return self.children(node, {pattern.id: f"{bare} if {guard}"})

    def render_field_initializer(self, node, mutants):
        fields = node.parent
        name = node.child_by_field_name("field") or node.children[0]
        value = node.child_by_field_name("value")
        base = next((c for c in fields.children if c.type == "base_field_initializer"), None)
        kind = self.text(fields.parent.child_by_field_name("name"))
        given = self.render(value) if value is not None else self.text(name)
        (m,) = mutants
        other = f"if {self.on(m)} {{ let base: {kind} = {self.text(base)[2:]}; base.{self.text(name)} }}"
        return f"{self.text(name)}: {self.marked(m, other)} else {{ {given} }}"

    render_shorthand_field_initializer = render_field_initializer

    def render_block(self, node, mutants):
        inserted = "".join(self.marked(m, f"if {self.on(m)} {{ return {m['replacement']}; }}") for m in mutants)
        rest = self.children(node)
        return "{ " + inserted + rest[1:]


def write_sources(copy, mutants, told):
    """Writes every changed file; what has no place in it is returned."""
    by_file = collections.defaultdict(list)
    for m in mutants:
        by_file[m["file"]].append(m)
    # One that has lost its last mutant gets its own text back.
    for original in (copy / ".originals").rglob("*.rs"):
        by_file[str(original.relative_to(copy / ".originals"))] += []
    by_file.pop("src/lib.rs", None)
    unplaced = []
    for name, of_file in by_file.items():
        path = copy / name
        original = copy / ".originals" / name
        if not original.exists():
            original.parent.mkdir(parents=True, exist_ok=True)
            original.write_bytes(path.read_bytes())
        file = File(original, of_file)
        text = file.render(file.tree.root_node)
        if path.read_text() != text:
            path.write_text(text)
        unplaced += file.unplaced
    library, original = copy / "src/lib.rs", copy / ".originals/src/lib.rs"
    if not original.exists():
        original.write_bytes(library.read_bytes())
    count = max(m["id"] for m in mutants) + 1
    library.write_text("#![allow(warnings)]\n" + original.read_text() + SWITCH.replace("COUNT", str(count)).replace("TOLD", str(told)))
    return unplaced


def cargo(copy, *arguments):
    """Runs cargo, and returns its messages."""
    command = ["cargo", *arguments, "--message-format=json"]
    done = subprocess.run(command, cwd=copy, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    messages = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    return done.returncode, messages, done.stderr


def broken(copy, messages):
    """The mutants at which the compiler's errors point."""
    found, lost = set(), []
    ranges = {}
    for message in messages:
        if message.get("reason") != "compiler-message" or message["message"]["level"] != "error":
            continue
        hit = set()
        spans = message["message"]["spans"]
        for span in [s for s in spans if s["is_primary"]] + [s for s in spans if not s["is_primary"]]:
            name = span["file_name"]
            if name not in ranges:
                data = (copy / name).read_bytes() if (copy / name).exists() else b""
                ends = {int(e.group(1)): e.end() for e in re.finditer(rb"/\*(\d+)>\*/", data)}
                ranges[name] = [(s.start(), ends[int(s.group(1))], int(s.group(1))) for s in re.finditer(rb"/\*<(\d+)\*/", data)]
            inside = [r for r in ranges[name] if r[0] <= span["byte_start"] and span["byte_end"] <= r[1]]
            within = [r for r in ranges[name] if span["byte_start"] <= r[0] and r[1] <= span["byte_end"]]
            if inside:
                hit.add(min(inside, key=lambda r: r[1] - r[0])[2])
                break
            if within:
                hit.update(r[2] for r in within)
                break
        if not hit:
            # A function's signature or what it returns elsewhere no longer fits: what returns early behind the one, or before the other.
            for span in spans:
                data = (copy / span["file_name"]).read_bytes() if ranges.get(span["file_name"]) else b""
                early = [r for r in ranges.get(span["file_name"], []) if b"{ return " in data[r[0] : r[1]]]
                behind = [r for r in early if r[0] >= span["byte_end"] and b"fn " not in data[span["byte_end"] : r[0]]]
                before = [r for r in early if r[1] <= span["byte_start"]]
                is_signature = bool(behind) and b"\n" not in data[span["byte_end"] : behind[0][0]]
                if is_signature or before:
                    hit.add((behind[0] if is_signature else before[-1])[2])
                    break
        if not hit and spans and "non-exhaustive" in message["message"]["message"]:
            # What an arm stands for may be needed: none of this match's can go.
            data = (copy / spans[0]["file_name"]).read_bytes()
            node = PARSER.parse(data).root_node.descendant_for_byte_range(spans[0]["byte_start"], spans[0]["byte_end"])
            while node.type != "match_expression":
                node = node.parent
            for arm in node.child_by_field_name("body").named_children:
                pattern = arm.child_by_field_name("pattern")
                if pattern is not None:
                    text = data[pattern.start_byte : pattern.end_byte]
                    hit.update(int(n) for n in re.findall(rb"if /\*<(\d+)\*/!crate", text))
        if not hit and spans:
            lost.append(message["message"]["rendered"])
        found |= hit
    return found, lost


def prepare(copy, mutants, told):
    """Leaves the mutants that compile, all in one tree."""
    unplaced = {m["id"] for m in write_sources(copy, mutants, told)}
    mutants = [m for m in mutants if m["id"] not in unplaced]
    dropped = set()
    while True:
        write_sources(copy, mutants, told)
        began = time.monotonic()
        status, messages, errors = cargo(copy, "check", "--package", "canary-gate", "--lib", "--profile", "test")
        bad, lost = broken(copy, messages)
        print(f"check: {status}, {len(bad)} do not compile, {time.monotonic() - began:.0f} s", flush=True)
        if status == 0:
            return mutants, dropped, unplaced
        if not bad:
            sys.exit("\n".join(lost) or errors)
        if lost:
            print("\n".join(lost)[:2000])
        dropped |= bad
        mutants = [m for m in mutants if m["id"] not in bad]


class Tests:
    """A binary of tests, and what each of them reaches."""

    def __init__(self, binary, folder, told, skip=()):
        self.binary, self.folder, self.told = binary, folder, told
        listed = subprocess.run([binary, "--list", "--format=terse"], cwd=folder, stdout=subprocess.PIPE, text=True, check=True)
        names = [line.removesuffix(": test") for line in listed.stdout.splitlines() if line.endswith(": test")]
        self.names = [name for name in names if name not in skip]
        self.seconds, self.reach = {}, collections.defaultdict(list)

    def run(self, names, timeout, threads=4):
        """Whether they pass: None, the names of those that failed, or ["timeout"]."""
        command = [self.binary, "--exact", "--quiet", f"--test-threads={threads}", *names]
        # The binary's own folder, as cargo would have it.
        environment = dict(os.environ, CARGO_MANIFEST_DIR=str(self.folder), RUST_BACKTRACE="0")
        process = subprocess.Popen(
            command, cwd=self.folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            errors="replace", start_new_session=True,
        )
        try:
            out, _ = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            return ["timeout"]
        if process.returncode == 0:
            return None
        failed = [name for name in re.findall(r"^    (\S+)$", out, re.M) if name in names]
        return sorted(set(failed)) or [f"status {process.returncode}"]

    def trace(self, work):
        """Runs each by itself, and writes down what it reaches; those that fail untouched are left out."""
        bad = []
        for name in self.names:
            trace = work / "trace"
            trace.unlink(missing_ok=True)
            self.told.write_text(f"trace {trace}")
            began = time.monotonic()
            if self.run([name], 120):
                bad.append(name)
                continue
            self.seconds[name] = time.monotonic() - began
            for mutant in set(trace.read_text().split()) if trace.exists() else ():
                self.reach[int(mutant)].append(name)
        self.told.write_text("0")
        self.names = [name for name in self.names if name not in bad]
        return bad

    def notice(self, mutant, most=None):
        """Which test notices, quickest first; None where none does. `most`: how many seconds of tests are run."""
        names = sorted(self.reach.get(mutant, ()), key=lambda name: self.seconds[name])
        if most is not None:
            spent, kept = 0.0, []
            for name in names:
                spent += self.seconds[name]
                if spent > most:
                    break
                kept.append(name)
            names = kept
        self.told.write_text(str(mutant))
        try:
            at, size = 0, 6
            while at < len(names):
                batch = names[at : at + size]
                failed = self.run(batch, 15 + 4 * sum(self.seconds[name] for name in batch))
                if failed:
                    return failed
                at, size = at + size, size * 3
            return None
        finally:
            self.told.write_text("0")


def built(copy, *target):
    """The binary of tests that a target is built to."""
    status, messages, errors = cargo(copy, "test", "--package", "canary-gate", *target, "--no-run")
    if status:
        sys.exit(errors)
    made = [m["executable"] for m in messages if m.get("executable") and m["profile"]["test"]]
    return made[-1]


def key(copy, mutant):
    """A mutant by what it changes, wherever the line is."""
    source = (copy / ".originals" / mutant["file"]).read_text().split("\n")
    change = re.sub(r"^(\S+?):\d+:\d+: ", r"\1: ", mutant["name"])
    return f"{change} | {source[mutant['span']['start']['line'] - 1].strip()}"


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--seconds", type=float, default=float("inf"))
    arguments.add_argument("--integration", action="store_true")
    for name in ("copy", "mutants", "known", "out"):
        arguments.add_argument(name, type=pathlib.Path)
    arguments = arguments.parse_args()
    copy, out = arguments.copy.resolve(), arguments.out.resolve()
    known = {line for line in arguments.known.read_text().splitlines() if line and not line.startswith("#")}
    work = copy / ".mutants"
    work.mkdir(exist_ok=True)
    told = work / "told"
    told.write_text("0")
    mutants = json.loads(arguments.mutants.read_text())
    for number, mutant in enumerate(mutants, 1):
        mutant["id"] = number
    if not mutants:
        return print("nothing to change")
    compiled, dropped, unplaced = prepare(copy, mutants, told)
    suites = [(["--lib"], SLOW if arguments.seconds < float("inf") else ())]
    if arguments.integration:
        suites.append((["--test", "it"], ()))
    # Built before the clock starts: how long that takes is the machine's affair.
    binaries = [(built(copy, *target), skip) for target, skip in suites]
    began = time.monotonic()
    state = {m["id"]: "unviable" for m in mutants if m["id"] in dropped}
    state |= {number: "unplaced" for number in unplaced}
    waiting = [m["id"] for m in compiled]
    for binary, skip in binaries:
        tests = Tests(binary, copy, told, skip)
        bad = tests.trace(work)
        print(f"{len(tests.names)} tests in {time.monotonic() - began:.0f} s; not usable: {', '.join(bad) or 'none'}", flush=True)
        for number in waiting:
            if time.monotonic() - began > arguments.seconds:
                state.setdefault(number, "not run")
                continue
            if number not in tests.reach:
                state.setdefault(number, "unreached")
                continue
            failed = tests.notice(number)
            state[number] = "missed" if failed is None else "timeout" if failed == ["timeout"] else f"caught by {failed[0]}"
        waiting = [number for number in waiting if state[number] in ("missed", "unreached", "not run")]
    by_id = {m["id"]: m for m in mutants}
    with out.open("w") as file:
        for number, what in sorted(state.items()):
            file.write(json.dumps({"mutant": by_id[number]["name"], "state": what}) + "\n")
    counted = collections.Counter(what.split(" by ")[0] for what in state.values())
    print(", ".join(f"{count} {what}" for what, count in sorted(counted.items())))
    missed = [by_id[number] for number, what in sorted(state.items()) if what == "missed"]
    unknown = [f"{mutant['name']}\n    {key(copy, mutant)}" for mutant in missed if key(copy, mutant) not in known]
    if unknown:
        print("\nnobody noticed:", *unknown, sep="\n", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
