#!/bin/bash
# rsync -aHAX into the folder and back; all three trees must be equal in every attribute.
# shellcheck source=Tests/FileSystemSuites/parts/lib.sh
source /suites/parts/lib.sh
# shellcheck source=Tests/FileSystemSuites/parts/describe.sh
source /suites/parts/describe.sh
# /tmp is a tmpfs in a container, without user.* attributes up to Linux 6.5: the trees are made on the same file system.
mkdir source there back

# In a shell of its own, which ends with the first command that fails.
make_source() (
    set -e
    cd source
    mkdir -p a/b/c empty 'sp ace'
    printf 'content\n' >a/file
    ln a/file a/b/link
    ln a/file 'sp ace/link'
    ln -s ../a/file a/b/symlink
    ln -s nowhere dangling
    ln dangling dangling-link
    printf x >$'not\xffutf8\xfe'
    mkfifo fifo
    mknod char c 1 7
    mknod block b 259 70000
    dd if=/dev/zero of=sparse bs=1 count=1 seek=40M
    dd if=/dev/urandom of=random bs=1k count=3000
    printf s >setuid
    chown 1000:2000 setuid a/b
    chmod 6711 setuid
    chmod 2775 a/b
    chmod 1777 empty
    setfattr -n user.one -v value a/file
    setfattr -n user.dir -v 0x000102ff a
    setfattr -n security.capability -v 0x0100000200200000000000000000000000000000 random
    chown -h 3000:3001 a/b/symlink
    touch -d '1999-12-31 23:59:59.123456789' a/file
    touch -h -d '2001-01-01 01:01:01.000000001' a/b/symlink
    # rsync leaves times of nodes alone that differ within a second only.
    touch -h -d '2005-05-05 05:05:05.5' fifo char block
    for n in $(seq 300); do printf '%s' "$n" >"a/b/c/f$n"; done
    find . -type d -exec touch -d '2010-10-10 10:10:10.987654321' {} +
)

access_lists() {
    setfacl -m u:1000:rw,g:2000:r source/a/file && setfacl -d -m u:1001:rwx,o::- source/a/b
}

equal() {
    diff <(describe source) <(describe "$1")
}

check make_source make_source
check trusted_attribute setfattr -h -n trusted.link -v t source/dangling
check access_lists access_lists
check rsync_there rsync -aHAXS --numeric-ids source/ there
check equal_there equal there
check rsync_back rsync -aHAXS --numeric-ids there/ back
check equal_back equal back
same nothing_left_to_do rsync -aHAXS --numeric-ids --checksum -n -i source/ back
check cp_a sh -c 'cp -a --sparse=always source copied'
check tar_there sh -c 'mkdir tarred && tar -C source --acls --xattrs --xattrs-include="*" --sparse -cf - . | tar -C tarred --acls --xattrs --xattrs-include="*" -xpf -'
check equal_tarred equal tarred
describe source >described
