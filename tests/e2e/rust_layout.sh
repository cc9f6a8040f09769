#!/bin/sh
# Sizes, offsets, constants and names of the Rust bindings are those of the C header.
# Usage: rust_layout.sh <source folder>
set -eu
source=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
bindings=$source/sdk/rust/opensend_plugin.rs
rustc=rustc
[ ! -x /usr/bin/rustc ] || rustc=/usr/bin/rustc

# One line per member: "<struct> <member in Rust> <member in C>", and "<struct>" for the whole.
awk '/^pub struct osp_.* \{/ { name = $3; members = 0 }
     /^    pub [a-z_#]*[a-z0-9_]*:/ { m = $2; sub(/:$/, "", m); c = m; sub(/^r#/, "", c)
         if (c == "self_") c = "self"; print name, m, c; members = 1 }
     /^}/ { if (members) print name; members = 0 }' "$bindings" >"$work/members"
[ "$(wc -l <"$work/members")" -gt 200 ] || { echo "too few members were found" >&2; exit 1; }
# Every struct of the header is there.
grep -o 'typedef struct osp_[a-z_0-9]* *{' "$source/sdk/include/opensend/plugin.h" | awk '{print $3}' | sort >"$work/c_structs"
awk '{print $1}' "$work/members" | sort -u >"$work/rust_structs"
missing=$(comm -23 "$work/c_structs" "$work/rust_structs")
[ -z "$missing" ] || { echo "not in Rust: $missing" >&2; exit 1; }

grep -o '^pub const [A-Z0-9_]*: i32' "$bindings" | awk '{sub(":", "", $3); print $3}' >"$work/constants"
{
    echo '#include <stdio.h>'
    echo '#include <opensend/plugin.h>'
    echo 'typedef struct osp_host osp_host_;'
    echo 'int main(void) {'
    awk 'NF == 1 { printf "printf(\"%s %%zu\\n\", sizeof(%s));\n", $1, $1 }
         NF == 3 { printf "printf(\"%s.%s %%zu %%zu\\n\", offsetof(%s, %s), sizeof(((%s*)0)->%s));\n", $1, $3, $1, $3, $1, $3 }' "$work/members"
    awk '{ printf "printf(\"%s %%d\\n\", (int)%s);\n", $1, $1 }' "$work/constants"
    echo '}'
} >"$work/c.c"
{
    echo '#[path = "'"$bindings"'"] mod opensend_plugin; use opensend_plugin::*;'
    echo 'fn size<T>(_: *const T) -> usize { std::mem::size_of::<T>() }'
    echo 'fn main() { unsafe {'
    awk 'NF == 1 { printf "println!(\"%s {}\", std::mem::size_of::<%s>());\n", $1, $1 }
         NF == 3 { printf "{ let m = std::mem::MaybeUninit::<%s>::uninit(); let p = m.as_ptr(); let f = std::ptr::addr_of!((*p).%s); println!(\"%s.%s {} {}\", f as usize - p as usize, size(f)); }\n", $1, $2, $1, $3 }' "$work/members"
    awk '{ printf "println!(\"%s {}\", %s);\n", $1, $1 }' "$work/constants"
    echo '} }'
} >"$work/r.rs"
cc -std=c11 -I "$source/sdk/include" "$work/c.c" -o "$work/c"
"$rustc" --edition 2021 -A warnings "$work/r.rs" -o "$work/r"
"$work/c" >"$work/c.txt"
"$work/r" >"$work/r.txt"
diff -u "$work/c.txt" "$work/r.txt" || { echo "the layouts differ (left C, right Rust)" >&2; exit 1; }
# So do the ids, which are texts.
grep -o '#define OSP_\(KIND\|HOST\)_[A-Z]* "[^"]*"' "$source/sdk/include/opensend/plugin.h" | awk '{print $2, $3}' | sort >"$work/c_ids"
grep -o '^pub const OSP_[A-Z_]*: &str = "[^"]*"' "$bindings" | awk '{sub(":", "", $3); print $3, $6}' | sort >"$work/rust_ids"
diff -u "$work/c_ids" "$work/rust_ids"
echo "$(wc -l <"$work/c.txt") facts agree"
