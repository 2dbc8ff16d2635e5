#!/bin/bash
# A small Debian in the folder, in which dpkg and apt-get install local packages.
# shellcheck source=Tests/FileSystemSuites/parts/lib.sh
source /suites/parts/lib.sh
mkdir root
check untar_debian tar -C root --numeric-owner --xattrs --acls -xpf /input/base.tar || exit
check copy_packages cp -r /input/debs root/debs
mkdir -p root/dev root/proc
mknod -m 666 root/dev/null c 1 3
echo 'deb [trusted=yes] file:/debs ./' >root/etc/apt/sources.list
rm -f root/etc/apt/sources.list.d/*
# apt's own user may not read what a file: repository of root's holds.
echo 'APT::Sandbox::User "root";' >root/etc/apt/apt.conf.d/90suites
inside() {
    chroot root /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive LC_ALL=C "$@"
}
check dpkg_install inside sh -c 'dpkg -i /debs/hello_*.deb'
check dpkg_runs inside hello
check apt_update inside apt-get update
check apt_install inside apt-get install --yes --no-install-recommends python3.11-minimal tree
same apt_runs inside python3.11 -c 'import sys; print(sys.version)'
same dpkg_verify inside dpkg --verify
same dpkg_list inside dpkg-query -W
same files inside sh -c 'cd / && find usr/lib/python3.11 usr/bin -printf "%p %y %m %U %G %s %l %n\n" | grep -v pycache | sort'
check apt_remove inside apt-get purge --yes tree hello
check dpkg_audit inside dpkg --audit
check apt_check inside apt-get check
