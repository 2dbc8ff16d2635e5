# shellcheck shell=bash
# Sourced by rsync.sh and rsync.after.sh: all that there is to know of a tree.

describe() {
    (
        cd "$1" || exit
        find . -printf '%p %y %#m %U %G %s %n %l %T@\n' | sort
        find . -type f -links +1 -printf '%i %p\n' | sort | awk '{ if (!($1 in first)) first[$1] = $2; print $2, first[$1] }'
        find . -type f -exec sha256sum {} + | sort
        find . \( -type b -o -type c \) -exec stat -c '%n %t %T' {} + | sort
        getfattr -R -P -h -d -m '^(user|trusted|security)' -e hex . | sort
        getfacl -R -P -n . 2>&1
        # Sparse is sparse: a file of 40 MiB that takes less than 1 MiB.
        (($(stat -c %b sparse) < 2048)) && echo sparse
    )
}
