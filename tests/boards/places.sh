# To be sourced: where the instructions of an ELF file with debug information were written.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)

# Reads addresses; writes lines "ADDRESS CRATE FILE FUNCTION LINE". Where functions are inlined into each other the
# innermost one counts that does not belong to Rust's own library, which is the crate `rust`.
places() { # ELF
    arm-none-eabi-addr2line --exe "$1" --addresses --functions --inlines --demangle | awk -v root="$root/" '
        function flush() { if (address != "") print address, crate, file, name, line }
        # The crate of a file in this repository: the package that its folder belongs to.
        function package(path,   text, found) {
            sub(/\/src\/.*/, "", path)
            if (!(path in packages)) {
                while ((getline text < (root path "/Cargo.toml")) > 0)
                    if (!found && sub(/^name = "/, "", text) && sub(/".*/, "", text)) { found = 1; packages[path] = text }
                if (!found) packages[path] = path
                gsub(/-/, "_", packages[path])
            }
            return packages[path]
        }
        /^0x[0-9a-f]+$/ { flush(); address = $0; settled = 0; expects_name = 1; next }
        expects_name { text = $0; expects_name = 0; next }
        {
            expects_name = 1
            if (settled) next
            at = $0
            sub(/ \(discriminator .*/, "", at)
            line = at
            sub(/.*:/, "", line)
            sub(/:[^:]*$/, "", at)
            settled = 1
            if (sub(/^.*\/library\/(core|alloc|compiler-builtins)\//, "library&", at)) {
                sub(/^.*\/library\//, "library/", at)
                crate = "rust"
                settled = 0
            } else if (sub(/^.*\/registry\/src\/[^\/]*\//, "", at)) {
                sub(/-[0-9]+\.[^\/]*/, "", at)
                crate = at
                sub(/\/.*/, "", crate)
                gsub(/-/, "_", crate)
            } else if (index(at, root) == 1) {
                at = substr(at, length(root) + 1)
                crate = package(at)
            } else {
                crate = "unknown"
                settled = 0
            }
            file = at
            # The name without its generic arguments and its path.
            while (sub(/<[^<>]*>/, "", text)) {}
            sub(/(::)+$/, "", text)
            sub(/.*::/, "", text)
            sub(/[^A-Za-z0-9_{}#].*/, "", text)
            name = text == "" ? "?" : text
        }
        END { flush() }'
}
