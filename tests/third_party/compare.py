#!/usr/bin/python3
"""Runs test suites of other projects without the library and with it, and compares them test by
test. A suite that opens sockets in every way its authors could think of, and looks closely at what
it gets, notices a guest that changes anything.

Usage: tests/third_party/compare.py [quick | cpython | tokio | all]

quick    some of CPython's network suites, well below a minute
cpython  all of CPython's network suites
tokio    the tokio crate's own tests of sockets
all      cpython and tokio

Debian: python3 libpython3.11-testsuite (on Debian 12)
"""

import collections
import glob
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
VALUES = {"KEEPCNT": "20", "KEEPIDLE": "180", "KEEPINTVL": "60", "TCP_USER_TIMEOUT": "600000"}

QUICK = """test_httplib test_httpservers test_smtplib test_socketserver test_telnetlib
    test_urllib2_localnet test_select""".split()
ALL = QUICK + """test_socket test_asyncio test_ssl test_ftplib test_poplib test_imaplib test_nntplib
    test_xmlrpc test_asyncore test_asynchat test_selectors test_docxmlrpc test_urllib
    test_urllib2 test_logging test_eintr test_signal test_subprocess test_posix
    test_multiprocessing_fork""".split()

# What must differ, and why.
EXPECTED = {
    ("tokio", "tcp_socket keepalive"): "asserts that a new socket's keepalive is off",
}


def library():
    """Builds the library; its path. KEEPALIVE_TEST_LIBRARY names another."""
    if "KEEPALIVE_TEST_LIBRARY" in os.environ:
        return os.environ["KEEPALIVE_TEST_LIBRARY"]
    target = os.path.join(ROOT, "target")
    subprocess.run(
        ["cargo", "build", "--release", "--lib", "--quiet", "--target-dir", target],
        cwd=ROOT, check=True)
    return os.path.join(target, "release", "libkeepalive.so")


def cpython(suites, environment):
    """The outcome of each test of CPython's suites."""
    with tempfile.TemporaryDirectory() as directory:
        report = os.path.join(directory, "report.xml")
        run = subprocess.run(
            ["/usr/bin/python3", "-m", "test", "-j4", "-i", "*VSOCK*",
             "--junit-xml", report] + suites,
            cwd=directory, env=os.environ | environment, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if not os.path.exists(report):
            sys.exit(f"CPython's suites made no report:\n{run.stdout[-3000:]}")
        outcomes = {}
        for case in xml.etree.ElementTree.parse(report).iter("testcase"):
            kinds = {child.tag for child in case} & {"failure", "error", "skipped"}
            outcome = kinds.pop() if kinds else "passed"
            if case.get("result") == "skip" or case.find("skipped") is not None:
                outcome = "skipped"
            outcomes[case.get("name")] = outcome
        return outcomes


def tokio(_, environment):
    """The outcome of each test of the tokio crate's own that is about sockets."""
    directory = os.path.join(ROOT, "target", "third-party")
    copy = os.path.join(directory, "tokio")
    if not os.path.isdir(copy):
        # A package that depends on the crate has its source, which has its tests.
        probe = os.path.join(directory, "probe")
        os.makedirs(os.path.join(probe, "src"), exist_ok=True)
        open(os.path.join(probe, "src", "lib.rs"), "w", encoding="utf-8").close()
        with open(os.path.join(probe, "Cargo.toml"), "w", encoding="utf-8") as file:
            file.write('[package]\nname = "probe"\nedition = "2024"\n'
                       '[dependencies]\ntokio = "1"\n[workspace]\n')
        metadata = json.loads(subprocess.run(
            ["cargo", "metadata", "--format-version", "1"],
            cwd=probe, check=True, stdout=subprocess.PIPE).stdout)
        manifest = next(package["manifest_path"] for package in metadata["packages"]
                        if package["name"] == "tokio")
        shutil.copytree(os.path.dirname(manifest), copy)
        with open(os.path.join(copy, "Cargo.toml"), "a", encoding="utf-8") as file:
            file.write("\n[workspace]\n")
    host = re.search("host: (.*)", subprocess.run(
        ["rustc", "-vV"], check=True, stdout=subprocess.PIPE, text=True).stdout)[1]
    # Only the tests run under the library, not the compiler.
    runner = "CARGO_TARGET_" + host.upper().replace("-", "_") + "_RUNNER"
    words = ["env"] + [f"{name}={value}" for name, value in environment.items()]
    run = subprocess.run(
        ["cargo", "test", "--features", "full", "--no-fail-fast", "--test", "tcp_*",
         "--test", "udp*", "--test", "uds_*", "--test", "net_*", "--test", "io_async_fd"],
        cwd=copy, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, env=os.environ | {
            runner: " ".join(words), "CARGO_TARGET_DIR": os.path.join(directory, "target")})
    outcomes = {}
    for line in run.stdout.splitlines():
        if found := re.match(r" *Running tests/(\w+)\.rs", line):
            file_name = found[1]
        elif found := re.match(r"test (\S+)(?: - should panic)? \.\.\. (\w+)", line):
            outcomes[f"{file_name} {found[1]}"] = found[2]
    if not outcomes:
        sys.exit(f"tokio's tests did not run:\n{run.stdout[-3000:]}")
    return outcomes


def compare(name, run, suites, environment):
    """Runs a suite without and with; prints what differs. Whether it was as expected."""
    start = time.monotonic()
    without = run(suites, {})
    middle = time.monotonic()
    with_library = run(suites, environment)
    end = time.monotonic()
    differences = [test for test in sorted(without.keys() | with_library.keys())
                   if without.get(test) != with_library.get(test)]
    # A test that fails now and then is no difference: once more, both ways.
    if differences and any((name, test) not in EXPECTED for test in differences):
        again, again_with = run(suites, {}), run(suites, environment)
        differences = [test for test in differences if again.get(test) != again_with.get(test)]
    as_expected = True
    for test in differences:
        reason = EXPECTED.get((name, test))
        as_expected = as_expected and reason is not None
        print(f"{name}: {test}: without {without.get(test)}, with {with_library.get(test)}"
              f" ({'expected: ' + reason if reason else 'NOT expected'})")
    def counts(outcomes):
        return ", ".join(f"{count} {outcome}" for outcome, count in
                         sorted(collections.Counter(outcomes.values()).items()))
    print(f"{name}: {len(without)} tests; without: {counts(without)}; with: "
          f"{counts(with_library)}; differences {len(differences)} "
          f"({middle - start:.0f} s without, {end - middle:.0f} s with)", flush=True)
    # It must have been in the way: a library that is not loaded differs nowhere.
    missing = {test for (suite, test) in EXPECTED if suite == name} - set(differences)
    for test in missing:
        print(f"{name}: {test}: should differ, and does not")
    return as_expected and not missing


def is_loaded(environment):
    """Whether Python itself is served: otherwise there is nothing to compare."""
    served = subprocess.run(
        ["/usr/bin/python3", "-c",
         "import socket as s; print(s.socket().getsockopt(s.IPPROTO_TCP, s.TCP_KEEPIDLE))"],
        env=os.environ | environment, check=True, stdout=subprocess.PIPE, text=True).stdout
    return served == "180\n"


def main():
    which = sys.argv[1:] or ["quick"]
    if which not in (["quick"], ["cpython"], ["tokio"], ["all"]):
        sys.exit(__doc__)
    environment = VALUES | {"LD_PRELOAD": library()}
    if not is_loaded(environment):
        sys.exit("the library is not in front of /usr/bin/python3")
    available = {os.path.basename(path).removesuffix(".py")
                 for path in glob.glob("/usr/lib/python3.*/test/test_*")}
    suites = [suite for suite in (QUICK if which == ["quick"] else ALL) if suite in available]
    as_expected = True
    if which != ["tokio"]:
        as_expected = compare("CPython", cpython, suites, environment)
    if which in (["tokio"], ["all"]):
        as_expected = compare("tokio", tokio, None, environment) and as_expected
    sys.exit(0 if as_expected else 1)


main()
