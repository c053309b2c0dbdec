#!/bin/bash
# The command's source is in layers (crates/command/src/lib.rs): a module uses those of the layers
# below its own, and no others. So no verb uses another, and no two files use each other.
set -euo pipefail
cd "$(dirname "$0")/../crates/command/src"

layers=(
    'cli'
    'run show attach cover measure'
    'follow'
    'apply bpf'
    'judge'
    'request'
    'find'
    'process settings'
    'worker'
    'text timeouts'
    'sys'
    'values'
)
known=" ${layers[*]} lib main " failed=0
for path in *; do
    module=${path%.rs}
    [[ $known == *" $module "* ]] || { echo "$path is in no layer"; failed=1; }
done
above=
for layer in "${layers[@]}"; do
    for module in $layer; do
        for other in $above $layer; do
            [ "$other" = "$module" ] && continue
            # An import may go over several lines: `use crate::{` ... `};`.
            if find "$module" "$module.rs" -name '*.rs' -exec grep -lzP \
                "\bcrate::(\{[^;]*\b)?$other\b" {} + 2>/dev/null; then
                echo "$module may not use $other"
                failed=1
            fi
        done
    done
    above="$above $layer"
done
exit $failed
