"""Images of which is known what programs they have: a script of theirs that calls another fails, as it really would.

In every other image a script that calls a program which there is not here is not run: the real image may have it.
"""

from __future__ import annotations

_APPLETS = """
[ [[ acpid adduser addgroup adjtimex apk ar arch arp arping ascii ash awk base32 base64 bc blkid brctl bunzip2 bzcat
bzip2 cal cat chat chgrp chmod chown chpasswd chroot chvt cksum clear cmp comm cp cpio crond crontab cryptpw cttyhack
cut date dc dd deallocvt delgroup deluser depmod devmem df diff dirname dmesg dnsd dnsdomainname dos2unix du dumpkmap
dumpleases echo ed egrep eject env ether-wake expand expr factor fallocate false fatattr fbset fdflush fdformat fdisk
fgconsole fgrep find findfs flock fold free freeramdisk fsck fsfreeze fstrim fsync ftpd ftpget ftpput fuser getconf
getent getopt getty grep groups gunzip gzip halt hd head hexdump hostid hostname httpd hwclock iconv id ifconfig
ifdown ifup inetd init insmod install ionice iostat ip ipaddr ipcalc ipcrm ipcs iplink ipneigh iproute iprule iptunnel
kill killall killall5 klogd last ldd less link linux32 linux64 ln loadfont loadkmap logger login logname logread
losetup ls lsattr lsmod lsof lspci lsusb lzcat lzma lzop makemime md5sum mdev mesg microcom mkdir mkdosfs mkfifo mknod
mkpasswd mkswap mktemp modinfo modprobe more mount mountpoint mpstat mv nameif nanddump nandwrite nbd-client nc
netstat nice nl nmeter nohup nologin nproc nsenter nslookup ntpd od openvt partprobe passwd paste patch pgrep pidof
ping ping6 pipe_progress pivot_root pkill pmap poweroff printenv printf ps pscan pstree pwd pwdx raidautorun rdate
rdev readahead readlink realpath reboot reformime renice reset resize resume rev rfkill rm rmdir rmmod route rpm2cpio
run-parts script sed sendmail seq setarch setconsole setfont setkeycodes setlogcons setpriv setserial setsid setuidgid
sh sha1sum sha256sum sha3sum sha512sum shred shuf slattach sleep smemcap sort split ssl_client start-stop-daemon stat
strings stty su sulogin sum svlogd swapoff swapon switch_root sync sysctl syslogd tac tail tar taskset tc tcpsvd tee
telnet telnetd test tftp tftpd time timeout top touch tr traceroute traceroute6 tree true truncate tty ttysize tunctl
ubiattach udhcpc udhcpd udpsvd uevent umount uname unexpand uniq unix2dos unlink unlzma unshare unxz unzip uptime
users usleep uudecode uuencode vconfig vi vlock volname w wall watch watchdog wc wget which who whoami whois xargs xxd
xz xzcat yes zcat zcip
"""
"""What BusyBox 1.35 of Alpine and of the image `busybox` has (`busybox --list`), with Alpine's own few."""

PROGRAMS_OF_BUSYBOX = frozenset(_APPLETS.split())
BUSYBOX_IMAGES = frozenset({"alpine", "busybox"})
