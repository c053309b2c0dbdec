"""What the component made of some manifests: check_component.py WITHOUT WITH, both rendered.

Each pod template has got the volume, the init container and each container's variables and mount;
and nothing else has changed.
"""

import sys

import yaml

NAME = "libkeepalive"
DIRECTORY = "/libkeepalive"
VARIABLES = {
    "LD_PRELOAD": f"{DIRECTORY}/libkeepalive.so",
    "KEEPIDLE": "180",
    "KEEPINTVL": "60",
    "KEEPCNT": "20",
}
WORKLOADS = ("Deployment", "StatefulSet", "DaemonSet")


def take(holder, field, wanted):
    """Removes the entries of a list that are wanted, and the list if it is empty then."""
    entries = holder.get(field, [])
    taken = [entry for entry in entries if wanted(entry)]
    rest = [entry for entry in entries if not wanted(entry)]
    holder.pop(field, None)
    if rest:
        holder[field] = rest
    return taken


def is_ours(entry):
    return entry["name"] == NAME


def is_variable(entry):
    return entry["name"] in VARIABLES


def expect(what, found, wanted):
    if found != wanted:
        sys.exit(f"{what}: {found!r}, not {wanted!r}")


def take_all(what, pod):
    """Removes from a pod what the component adds to it, and checks it."""
    expect(f"{what}: volumes", take(pod, "volumes", is_ours),
           [{"name": NAME, "emptyDir": {"sizeLimit": "1Mi"}}])
    [init] = take(pod, "initContainers", is_ours) or [{}]
    expect(f"{what}: command of the init container", init.get("command"),
           ["cp", "/libkeepalive.so", f"{DIRECTORY}/"])
    expect(f"{what}: mounts of the init container", init.get("volumeMounts"),
           [{"name": NAME, "mountPath": DIRECTORY}])
    expect(f"{what}: variables of the init container", init.get("env"), None)
    context = init.get("securityContext", {})
    for field, value in [("runAsNonRoot", True), ("readOnlyRootFilesystem", True),
                         ("allowPrivilegeEscalation", False), ("capabilities", {"drop": ["ALL"]}),
                         ("seccompProfile", {"type": "RuntimeDefault"})]:
        expect(f"{what}: {field} of the init container", context.get(field), value)
    for container in pod["containers"]:
        each = f"{what}: container {container['name']}"
        expect(f"{each}: variables", take(container, "env", is_variable),
               [{"name": name, "value": value} for name, value in VARIABLES.items()])
        expect(f"{each}: mounts", take(container, "volumeMounts", is_ours),
               [{"name": NAME, "mountPath": DIRECTORY, "readOnly": True}])


def load(path):
    with open(path) as file:
        return {(found["kind"], found["metadata"]["name"]): found
                for found in yaml.safe_load_all(file)}


without, with_it = load(sys.argv[1]), load(sys.argv[2])
expect("objects", sorted(with_it), sorted(without))
checked = 0
for (kind, name), found in with_it.items():
    before = without[kind, name]
    if kind in WORKLOADS:
        take_all(f"{kind} {name}", found["spec"]["template"]["spec"])
        # An LD_PRELOAD that was there has been replaced.
        for container in before["spec"]["template"]["spec"]["containers"]:
            take(container, "env", is_variable)
        checked += 1
    expect(f"{kind} {name} without what was added", found, before)
if not checked:
    sys.exit("no workload in it")
print(f"what it takes is in {checked} of {checked} workloads, and nothing else has changed")
