"""What the component `follow` made of some manifests: check_follow.py WITHOUT WITH, both rendered.

Each pod template has got the follower and a PID namespace that its containers share; and nothing
else has changed.
"""

import sys

import yaml

WORKLOADS = ("Deployment", "StatefulSet", "DaemonSet")


def load(path):
    with open(path) as file:
        return {(found["kind"], found["metadata"]["name"]): found
                for found in yaml.safe_load_all(file)}


def expect(what, found, wanted):
    if found != wanted:
        sys.exit(f"{what}: {found!r}, not {wanted!r}")


without, with_it = load(sys.argv[1]), load(sys.argv[2])
expect("objects", sorted(with_it), sorted(without))
checked = 0
for (kind, name), found in with_it.items():
    if kind in WORKLOADS:
        pod = found["spec"]["template"]["spec"]
        expect(f"{kind} {name}: shareProcessNamespace", pod.pop("shareProcessNamespace", None), True)
        followers = [it for it in pod["containers"] if it["name"] == "keepalive-follow"]
        expect(f"{kind} {name}: followers", len(followers), 1)
        context = followers[0]["securityContext"]
        expect(f"{kind} {name}: capabilities", context["capabilities"],
               {"drop": ["ALL"], "add": ["SYS_PTRACE", "DAC_READ_SEARCH"]})
        pod["containers"].remove(followers[0])
        checked += 1
    expect(f"{kind} {name} without the follower", found, without[kind, name])
if not checked:
    sys.exit("no workload in it")
print(f"a follower is in {checked} of {checked} workloads, and nothing else has changed")
