#!/usr/bin/env bash
# The files that are printed from tables equal what the program prints. Refresh: opensend doc --write
set -euo pipefail
program="$1" source="$2"
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$folder"
"$program" doc --write
diff -r "$source/etc/reference" etc/reference
diff "$source/etc/opensend.properties" etc/opensend.properties
# The table at the end of this page is what `opensend plugins check --list --all` prints.
"$program" plugins check --list --all > plugin_checks.md
diff <(sed -n '/^| id /,$p' "$source/contrib/doc/plugin_checks.md") plugin_checks.md
