@ip type filter hook forward priority 0;
ip saddr 10.0.0.1 accept ; = ; ok
ip saddr != 10.0.0.1 drop ; = ; ok
ip saddr 10.0.0.0/8 accept ; = ; ok
ip saddr 10.0.0.1-10.0.0.9 accept ; = ; ok
ip saddr { 10.0.0.1, 10.0.0.2 } accept ; = ; ok
ip saddr { 10.0.0.0/8, 192.168.0.0/16, 1.2.3.4-1.2.3.9 } accept ; ip saddr { 1.2.3.4-1.2.3.9, 10.0.0.0/8, 192.168.0.0/16 } accept ; ok
ip saddr != { 10.0.0.2, 10.0.0.1 } accept ; ip saddr != { 10.0.0.1, 10.0.0.2 } accept ; ok
tcp dport 80 accept ; = ; ok
tcp dport { 443, 80, 22 } accept ; tcp dport { 22, 80, 443 } accept ; ok
tcp dport != { 22, 80-90 } accept ; = ; ok
tcp dport 1000-2000 accept ; = ; ok
tcp dport >= 1024 accept ; = ; ok
tcp dport > 1024 accept ; = ; ok
tcp dport < 1024 accept ; = ; ok
tcp dport <= 1024 accept ; = ; ok
tcp dport != 22 accept ; = ; ok
tcp dport ssh accept ; tcp dport 22 accept ; ok
tcp dport vmap { 22 : accept, 80 : drop } ; = ; ok
tcp dport vmap { 22 : jump uc, 80-90 : goto uc, 100 : return, 101 : continue } ; = ; ok
meta l4proto tcp tcp dport 80 accept ; tcp dport 80 accept ; ok
ip protocol tcp tcp dport 80 accept ; tcp dport 80 accept ; ok
ip protocol tcp accept ; = ; ok
ip protocol { tcp, udp } accept ; = ; ok
ip protocol 6 accept ; ip protocol tcp accept ; ok
ip protocol != tcp accept ; = ; ok
meta l4proto { tcp, udp } th dport 53 accept ; = ; ok
meta l4proto udp accept ; = ; ok
meta l4proto { 6, 17 } accept ; meta l4proto { tcp, udp } accept ; ok
th dport 53 accept ; = ; ok
udp dport 53 accept ; = ; ok
udp sport 53 udp dport 53 accept ; = ; ok
sctp dport 53 accept ; = ; ok
tcp flags syn accept ; = ; ok
tcp flags & (fin | syn | rst | ack) == syn accept ; tcp flags syn / fin,syn,rst,ack accept ; ok
tcp flags & syn == 0 accept ; tcp flags ! syn accept ; ok
tcp flags syn / fin,syn,rst,ack accept ; = ; ok
tcp flags & (syn|fin) == (syn|fin) drop ; tcp flags fin,syn / fin,syn drop ; ok
tcp flags & (syn|fin) != 0 drop ; tcp flags fin,syn drop ; ok
tcp flags != syn drop ; = ; ok
tcp flags ! syn drop ; = ; ok
tcp flags { syn, ack } drop ; = ; ok
icmp type echo-request accept ; = ; ok
icmp type { echo-reply, echo-request, destination-unreachable } accept ; icmp type { echo-reply, destination-unreachable, echo-request } accept ; ok
icmp type 3 icmp code 4 accept ; icmp type destination-unreachable icmp code frag-needed accept ; ok
icmp type destination-unreachable icmp code port-unreachable accept ; = ; ok
icmp code frag-needed accept ; = ; ok
icmp id 5 accept ; icmp type { echo-reply, echo-request } icmp id 5 accept ; unsupported
icmp sequence 5 accept ; icmp type { echo-reply, echo-request } icmp sequence 5 accept ; unsupported
ip dscp cs1 accept ; = ; ok
ip dscp 0x04 accept ; = ; ok
ip dscp { cs1, af11 } accept ; = ; ok
ip dscp != cs0 accept ; = ; ok
ip ttl 64 accept ; = ; ok
ip ttl < 5 accept ; = ; ok
ip ttl set 5 ; = ; unsupported
ip dscp set cs1 ; = ; unsupported
ip length 100-200 accept ; = ; ok
ip length > 100 accept ; = ; ok
ip id 5 accept ; = ; ok
ip frag-off & 0x1fff != 0 accept ; ip frag-off & 8191 != 0 accept ; ok
ip frag-off & 8191 == 0 accept ; = ; ok
ip frag-off 5 accept ; = ; ok
ip version 4 accept ; = ; ok
ip hdrlength 5 accept ; = ; ok
ip checksum 5 accept ; = ; ok
ether saddr 00:11:22:33:44:55 accept ; = ; ok
ether type ip accept ; = ; ok
iif lo accept ; iif "lo" accept ; ok
iif "lo" accept ; = ; ok
oif lo accept ; oif "lo" accept ; ok
iifname lo accept ; iifname "lo" accept ; ok
iifname "eth0" accept ; = ; ok
iifname "eth*" accept ; = ; ok
iifname { "eth0", "lo" } accept ; iifname { "lo", "eth0" } accept ; ok
iifname { eth0, "veth*" } accept ; iifname { "eth0", "veth*" } accept ; ok
iifname != "eth0" accept ; = ; ok
oifname != { "eth0", "eth1" } accept ; = ; ok
mark 5 accept ; meta mark 0x00000005 accept ; ok
meta mark 0x4000 accept ; meta mark 0x00004000 accept ; ok
meta mark & 0x4000 == 0x4000 accept ; meta mark & 0x00004000 == 0x00004000 accept ; ok
meta mark and 0x4000 == 0 accept ; meta mark & 0x00004000 == 0x00000000 accept ; ok
meta mark & 0x4000 != 0x4000 accept ; meta mark & 0x00004000 != 0x00004000 accept ; ok
meta mark & 0x4000 != 0 accept ; meta mark & 0x00004000 != 0x00000000 accept ; ok
mark and 0x4000 != 0 mark set mark xor 0x4000 ; meta mark & 0x00004000 != 0x00000000 meta mark set meta mark ^ 0x00004000 ; ok
meta mark set 0x5 ; meta mark set 0x00000005 ; ok
meta mark set mark or 0x4000 ; meta mark set meta mark | 0x00004000 ; ok
meta mark set meta mark | 0x4000 ; meta mark set meta mark | 0x00004000 ; ok
meta mark set meta mark & 0xffffbfff ; = ; ok
meta mark set meta mark and 0xffffbfff or 0x1 ; meta mark set meta mark & 0xffffbfff | 0x00000001 ; ok
meta mark set meta mark & 0xffff0000 | 0x1 ; meta mark set meta mark & 0xffff0001 | 0x00000001 ; ok
meta mark set meta mark xor 0x4000 ; meta mark set meta mark ^ 0x00004000 ; ok
meta mark set ct mark ; = ; ok
meta mark set ct mark and 0xff ; meta mark set ct mark & 0x000000ff ; ok
ct mark set meta mark ; = ; ok
ct mark set 5 ; ct mark set 0x00000005 ; ok
ct mark set ct mark or 0x10 ; ct mark set ct mark | 0x00000010 ; ok
ct mark set mark and 0xff ; ct mark set meta mark & 0x000000ff ; ok
ct mark 5 accept ; ct mark 0x00000005 accept ; ok
ct mark & 0xf == 5 accept ; ct mark & 0x0000000f == 0x00000005 accept ; ok
meta mark != { 5, 6 } accept ; meta mark != { 0x00000005, 0x00000006 } accept ; ok
meta mark 5-9 accept ; meta mark 0x00000005-0x00000009 accept ; ok
meta mark set tcp dport map { 80 : 5, 443 : 6 } ; meta mark set tcp dport map { 80 : 0x00000005, 443 : 0x00000006 } ; ok
ct state new accept ; = ; ok
ct state established,related accept ; = ; ok
ct state { established, related } accept ; = ; ok
ct state != new accept ; = ; ok
ct state invalid drop ; = ; ok
ct state vmap { established : accept, related : accept, invalid : drop } ; ct state vmap { invalid : drop, established : accept, related : accept } ; ok
ct state new,untracked accept ; = ; ok
ct state ! new accept ; = ; ok
ct state & (new|established) == 0 drop ; ct state ! established,new drop ; ok
ct status dnat accept ; = ; ok
ct status dnat,snat accept ; ct status snat,dnat accept ; ok
ct status & dnat != 0 accept ; ct status dnat accept ; ok
ct status ! dnat accept ; = ; ok
ct direction original accept ; = ; ok
ct direction reply accept ; = ; ok
ct original saddr 10.0.0.1 accept ; ct original ip saddr 10.0.0.1 accept ; ok
ct original ip saddr 10.0.0.1 accept ; = ; ok
ct original ip daddr 10.0.0.0/8 accept ; = ; ok
ct reply ip daddr 10.0.0.0/8 accept ; = ; ok
ct original proto-dst 80 accept ; ; fail
ct reply proto-src { 80, 443 } accept ; ; fail
ct original protocol tcp accept ; ct protocol tcp accept ; ok
ct l3proto ipv4 accept ; = ; ok
ct protocol tcp accept ; = ; ok
ct expiration 30s accept ; = ; ok
ct expiration > 1m30s accept ; = ; ok
ct zone 5 accept ; = ; ok
ct original zone 5 accept ; = ; ok
ct id 5 accept ; = ; ok
ct count 5 accept ; = ; unsupported
ct count over 5 accept ; = ; unsupported
ct bytes > 1000 accept ; = ; unsupported
ct original packets > 10 accept ; = ; unsupported
ct avgpkt > 10 accept ; = ; unsupported
ct helper "ftp" accept ; = ; unsupported
fib daddr type local accept ; = ; ok
fib saddr type != local accept ; = ; ok
fib daddr type { local, broadcast } accept ; = ; ok
fib saddr . iif oif missing drop ; = ; ok
fib saddr . iif oif exists accept ; = ; ok
fib saddr . iif oif eq 0 drop ; fib saddr . iif oif 0 drop ; ok
fib saddr . mark oif != 0 accept ; = ; ok
fib daddr . iif type local accept ; = ; ok
fib daddr oifname "eth0" accept ; = ; ok
fib daddr oif lo accept ; fib daddr oif "lo" accept ; ok
numgen random mod 2 vmap { 0 : drop, 1 : accept } ; = ; ok
numgen inc mod 3 0 accept ; = ; ok
numgen inc mod 10 offset 5 8 accept ; = ; ok
numgen random mod 10 < 5 accept ; = ; ok
meta mark set numgen inc mod 3 offset 100 ; = ; ok
jhash ip saddr mod 2 vmap { 0 : accept, 1 : drop } ; = ; ok
jhash ip saddr . tcp dport mod 2 seed 0xdeadbeef offset 5 5 accept ; = ; ok
meta mark set jhash ip saddr mod 2 ; = ; ok
symhash mod 2 0 accept ; = ; unsupported
counter accept ; counter packets 0 bytes 0 accept ; ok
counter packets 5 bytes 100 accept ; = ; ok
counter ; counter packets 0 bytes 0 ; ok
log ; = ; ok
log prefix "hello: " ; = ; ok
log prefix "hello: " level debug ; = ; ok
log level warn ; log ; ok
log level err ; = ; ok
log prefix "x" flags all ; = ; ok
log flags tcp sequence,options ; = ; ok
log flags ip options ; = ; ok
log flags skuid ; = ; ok
log flags ether ; = ; ok
log prefix "a" group 2 ; = ; ok
log group 2 snaplen 100 queue-threshold 20 ; = ; ok
log level audit ; = ; ok
limit rate 5/second accept ; = ; ok
limit rate 5/minute burst 10 packets accept ; = ; ok
limit rate over 5/hour drop ; = ; ok
limit rate over 10/day burst 1 packets drop ; = ; ok
limit rate 10/week drop ; = ; ok
limit rate 10 mbytes/second accept ; = ; ok
limit rate 10 kbytes/second burst 5 kbytes accept ; = ; ok
limit rate over 100 bytes/second burst 512 bytes drop ; = ; ok
reject ; = ; ok
reject with icmp port-unreachable ; reject ; ok
reject with icmp type host-unreachable ; reject with icmp host-unreachable ; ok
reject with icmp admin-prohibited ; = ; ok
reject with icmp type net-prohibited ; reject with icmp net-prohibited ; ok
reject with tcp reset ; = ; ok
meta l4proto tcp reject with tcp reset ; reject with tcp reset ; ok
tcp dport 80 reject with tcp reset ; = ; ok
ip protocol tcp reject with tcp reset ; reject with tcp reset ; ok
notrack ; = ; ok
comment "hello" ; ; fail
accept comment "hello world" ; = ; ok
counter accept comment "c" ; counter packets 0 bytes 0 accept comment "c" ; ok
jump uc ; = ; ok
goto uc ; = ; ok
return ; = ; ok
continue ; = ; ok
queue ; ; fail
queue num 5 ; ; fail
queue to 1-5 ; ; fail
queue num 5 bypass ; ; fail
ip saddr . tcp dport { 10.0.0.1 . 80, 10.0.0.2 . 443 } accept ; = ; ok
ip saddr . ip daddr . tcp dport { 10.0.0.0/8 . 10.0.0.1 . 80-90 } accept ; = ; ok
ip daddr . meta l4proto . th dport { 10.0.0.1 . tcp . 80 } accept ; = ; ok
ip daddr . ip protocol . th dport vmap { 10.0.0.1 . tcp . 80 : goto uc } ; = ; ok
ip saddr . meta mark { 10.0.0.1 . 0x5 } accept ; ip saddr . meta mark { 10.0.0.1 . 0x00000005 } accept ; ok
iifname . ip saddr { "eth0" . 10.0.0.1 } accept ; = ; ok
meta protocol ip accept ; accept ; ok
meta protocol { ip, arp } accept ; = ; ok
meta nfproto ipv4 accept ; ; fail
meta pkttype broadcast accept ; = ; ok
meta pkttype { broadcast, multicast } accept ; = ; ok
meta length 100 accept ; = ; ok
meta length > 1000 accept ; = ; ok
length 100-200 accept ; ; fail
meta skuid 0 accept ; = ; ok
meta skuid root accept ; meta skuid 0 accept ; ok
skuid 1000-2000 accept ; meta skuid 1000-2000 accept ; ok
meta skgid 0 accept ; = ; ok
cpu 0 accept ; meta cpu 0 accept ; ok
meta cpu 1 accept ; = ; ok
meta priority set 1:2 ; = ; unsupported
meta priority 1:2 ; = ; unsupported
meta iiftype ether accept ; = ; unsupported
meta iifgroup 0 accept ; iifgroup "default" accept ; unsupported
meta random < 5 ; = ; ok
meta hour "10:00"-"12:00" accept ; = ; unsupported
meta day "Monday" accept ; = ; unsupported
meta nftrace set 1 ; = ; unsupported
meta pkttype set host ; ; fail
rt classid 5 ; = ; unsupported
socket transparent 1 accept ; ; fail
quota 100 mbytes drop ; = ; unsupported
quota over 10 kbytes drop ; = ; unsupported
ip daddr @s4 accept ; = ; ok
ip daddr != @s4 accept ; = ; ok
ip daddr . tcp dport @sc accept ; = ; ok
ip daddr vmap @vm ; = ; ok
ip daddr . tcp dport vmap @vmc ; = ; ok
add @s4 { ip saddr } ; = ; ok
update @st { ip saddr timeout 30s } ; = ; ok
add @st { ip saddr timeout 1m30s counter } ; = ; ok
update @st { ip saddr } ; = ; ok
delete @st { ip saddr } ; = ; ok
add @st { ip saddr limit rate 5/second } ; = ; ok
update @st { ip saddr ct count over 5 } drop ; ; fail
meta mark set ip saddr map @mm ; = ; ok
counter name "cnt" accept ; = ; ok
counter name cnt ; counter name "cnt" ; ok
counter name tcp dport map { 80 : "cnt" } ; = ; ok
exthdr hbh exists ; ; fail
ip option lsrr exists accept ; = ; unsupported
tcp option maxseg size 1460 accept ; = ; unsupported
tcp option maxseg size set rt mtu ; = ; unsupported
tcp option maxseg exists accept ; = ; unsupported
tcp option sack-perm missing accept ; = ; unsupported
tcp sequence 5 accept ; = ; ok
tcp window > 100 accept ; = ; ok
tcp doff 5 accept ; = ; ok
udp length > 8 accept ; = ; ok
tcp checksum 5 accept ; = ; ok
vlan id 5 accept ; = ; unsupported
arp operation request accept ; ; fail
ip6 saddr ::1 accept ; ; fail
dup to 10.0.0.1 ; = ; unsupported
fwd to lo ; ; fail
synproxy mss 1460 wscale 7 timestamp sack-perm ; = ; unsupported
ct helper set "ftp" ; ; fail
ct zone set 5 ; = ; unsupported
ct label 5 ; = ; unsupported
ct event set new,destroy ; = ; unsupported
ip saddr 10.0.0.1 ip daddr 10.0.0.2 tcp dport 80 counter accept ; ip saddr 10.0.0.1 ip daddr 10.0.0.2 tcp dport 80 counter packets 0 bytes 0 accept ; ok
ip saddr 10.0.0.1 tcp dport 80 drop ; = ; ok
udp dport 53 ip saddr 10.0.0.1 accept ; = ; ok
tcp dport 80 tcp sport 1024 ip saddr 10.0.0.1 accept ; tcp sport 1024 tcp dport 80 ip saddr 10.0.0.1 accept ; ok
tcp dport 80 log prefix "x" ct state new counter limit rate 1/second accept ; tcp dport 80 log prefix "x" ct state new counter packets 0 bytes 0 limit rate 1/second accept ; ok
ip daddr 10.0.0.1 meta l4proto tcp accept ; = ; ok
ip daddr 127.0.0.1 ip ttl 1 drop ; = ; ok
tcp dport . tcp sport { 80 . 1024 } accept ; = ; ok
meta l4proto tcp th dport 80 accept ; tcp dport 80 accept ; ok
meta l4proto 132 sctp dport 5 accept ; sctp dport 5 accept ; ok
icmp type echo-request limit rate 1/second accept ; = ; ok
ip saddr 0.0.0.0/0 accept ; = ; ok
ip saddr 10.1.2.3/255.255.0.0 accept ; ; fail
ip saddr & 0.0.0.255 == 5 accept ; ip saddr & 0.0.0.255 == 0.0.0.5 accept ; ok
ip saddr & 255.0.0.255 == 10.0.0.5 accept ; = ; ok
tcp dport & 1 == 1 accept ; = ; ok
tcp dport 0x50 accept ; tcp dport 80 accept ; ok
ip daddr 10.0.0.1 udp dport { 53, 5353 } meta mark set 0x10 accept ; ip daddr 10.0.0.1 udp dport { 53, 5353 } meta mark set 0x00000010 accept ; ok
meta mark set mark & 0x1 ^ 0x2 ; meta mark set meta mark & 0x00000003 | 0x00000002 ; ok
meta mark . ct mark { 0x1 . 0x2 } accept ; meta mark . ct mark { 0x00000001 . 0x00000002 } accept ; ok
iif . oif { lo . lo } accept ; iif . oif { "lo" . "lo" } accept ; ok
ct state . ct mark { new . 5 } accept ; ct state . ct mark { new . 0x00000005 } accept ; ok
ct mark set mark ; ct mark set meta mark ; ok
meta mark set mark | ct mark ; ; fail
ip saddr vmap { 10.0.0.0/24 : accept, 10.0.0.5 : drop } ; ; fail
ip saddr { 10.0.0.0/24, 10.0.0.5 } accept ; ip saddr { 10.0.0.0/24 } accept ; ok
ip saddr { 10.0.0.0/24, 10.0.1.0/24 } accept ; ip saddr { 10.0.0.0/23 } accept ; ok
ip saddr { } accept ; ; fail
icmp code 5 ; = ; ok
ip dscp 63 ; ip dscp 0x3f ; ok
ip dscp ef ; = ; ok
ip dscp af43 ; = ; ok
meta l4proto 200 ; = ; ok
meta l4proto gre ; = ; ok
ip protocol 17-19 accept ; = ; ok
ip protocol esp ; = ; ok
ip protocol { icmp, igmp, gre, esp, ah, sctp, dccp, udplite, comp } ; ip protocol { icmp, igmp, dccp, gre, esp, ah, ipcomp, sctp, udplite } ; ok
meta l4proto { 2, 41, 47, 50, 51, 58, 89, 103, 112, 115 } ; meta l4proto { igmp, ipv6, gre, esp, ah, ipv6-icmp, ospf, pim, vrrp, l2tp } ; ok
fib daddr type { unspec, unicast, local, broadcast, anycast, multicast, blackhole, unreachable, prohibit } ; = ; ok
icmp type { 0, 3, 4, 5, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18 } ; icmp type { echo-reply, destination-unreachable, source-quench, redirect, echo-request, router-advertisement, router-solicitation, time-exceeded, parameter-problem, timestamp-request, timestamp-reply, info-request, info-reply, address-mask-request, address-mask-reply } ; ok
icmp type 99 ; = ; ok
icmp code { 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15 } ; icmp code { net-unreachable, host-unreachable, prot-unreachable, port-unreachable, frag-needed, 5, 6, 7, 8, net-prohibited, host-prohibited, 11, 12, admin-prohibited, 14, 15 } ; ok
ct status { expected, seen-reply, assured, confirmed, snat, dnat, dying } ; = ; ok
ct status 0x100 ; = ; ok
ct state 0x40 ; ct state untracked ; ok
tcp flags { fin, syn, rst, psh, ack, urg, ecn, cwr } ; = ; ok
tcp flags 0 ; tcp flags 0x0 ; ok
tcp flags & (fin|syn|rst|psh|ack|urg) == 0 ; tcp flags ! fin,syn,rst,psh,ack,urg ; ok
tcp flags == syn ; = ; ok
tcp flags & syn == syn ; = ; ok
tcp flags & (syn|ack) == syn ; tcp flags syn / syn,ack ; ok
tcp flags & syn != 0 ; tcp flags syn ; ok
tcp flags & (syn|ack) != syn ; tcp flags != syn / syn,ack ; ok
tcp flags & syn != syn ; = ; ok
tcp flags syn,ack ; = ; ok
tcp flags != syn,ack ; tcp flags != 0x12 ; ok
tcp flags (syn|ack) ; tcp flags syn,ack ; ok
tcp flags syn|ack ; tcp flags syn,ack ; ok
tcp flags ! syn,ack ; = ; ok
ct state == new ; = ; ok
ct state & new == new ; = ; ok
ct state & new == 0 ; ct state ! new ; ok
ct state (new|established) ; ct state established,new ; ok
ct state new | established ; ct state established,new ; ok
ct state != { new, established } ; ct state != { established, new } ; ok
ct state != new,established ; ct state != established | new ; ok
ct status & (dnat|snat) == dnat ; ct status dnat / snat,dnat ; ok
meta mark & 0xff == 5-9 ; meta mark & 0x000000ff 0x00000005-0x00000009 ; ok
meta mark & 0xff { 1, 2 } ; meta mark & 0x000000ff == { 0x00000001, 0x00000002 } ; ok
meta mark and 0xff vmap { 1 : accept, 2 : drop } ; meta mark & 0x000000ff vmap { 0x00000001 : accept, 0x00000002 : drop } ; ok
meta mark | 0x10 == 0x15 ; meta mark | 0x00000010 == 0x00000015 ; unsupported
meta mark ^ 0x10 == 0x15 ; meta mark 0x00000005 ; unsupported
meta mark set meta mark & 0x0 | 0x5 ; meta mark set meta mark & 0x00000005 | 0x00000005 ; ok
meta mark set mark and 0xffff0000 xor 0x5 ; meta mark set meta mark & 0xffff0005 | 0x00000005 ; ok
meta mark set (meta mark & 0xffffff00) | 0x15 ; meta mark set meta mark & 0xffffff15 | 0x00000015 ; ok
meta mark set ct mark & 0xff | 0x100 ; meta mark set ct mark & 0x000001ff | 0x00000100 ; ok
meta mark set ip dscp map { cs0 : 1, cs1 : 2 } ; meta mark set ip dscp map { cs0 : 0x00000001, cs1 : 0x00000002 } ; ok
ct mark set ct mark & 0xffffff00 ; = ; ok
ct mark set meta mark | 0x1 ; ct mark set meta mark | 0x00000001 ; ok
ct mark & 0xff == 0x1 ; ct mark & 0x000000ff == 0x00000001 ; ok
ip daddr . tcp dport . ip saddr { 10.0.0.1 . 80 . 10.0.0.2 } counter ; ip daddr . tcp dport . ip saddr { 10.0.0.1 . 80 . 10.0.0.2 } counter packets 0 bytes 0 ; ok
ip saddr & 255.255.0.0 == 10.0.0.0 ; ip saddr 10.0.0.0/16 ; ok
ip saddr 10.0.0.1/24 ; ip saddr 10.0.0.0/24 ; ok
ip saddr >= 10.0.0.1 ; = ; ok
ip saddr != 10.0.0.1-10.0.0.5 ; = ; ok
ip saddr 10.0.0.0-10.0.0.255 ; = ; ok
ip saddr { 10.0.0.0-10.0.0.255 } ; ip saddr 10.0.0.0-10.0.0.255 ; ok
ip saddr { 10.0.0.0-10.0.0.255, 10.0.1.0-10.0.1.255 } ; ip saddr { 10.0.0.0/23 } ; ok
ip saddr { 10.0.0.1, 10.0.0.2, 10.0.0.3-10.0.0.4 } ; ip saddr { 10.0.0.1-10.0.0.4 } ; ok
tcp dport { 1-5, 6-10 } ; tcp dport { 1-10 } ; ok
tcp dport { 1, 2, 3, 5-6 } ; tcp dport { 1-3, 5-6 } ; ok
tcp dport { 0-65535 } ; tcp dport 0-65535 ; ok
tcp dport 0-65535 ; = ; ok
tcp dport { http, https } ; tcp dport { 80, 443 } ; ok
tcp dport { 80, 80 } ; tcp dport { 80 } ; ok
tcp dport vmap { 1-5 : accept, 6-10 : accept } ; = ; ok
tcp dport vmap { 1-5 : accept, 3 : drop } ; ; fail
tcp dport vmap { 80 : accept, 80 : drop } ; ; fail
meta mark set tcp dport map { 80-90 : 1, 443 : 2 } ; meta mark set tcp dport map { 80-90 : 0x00000001, 443 : 0x00000002 } ; ok
meta mark set ip saddr . tcp dport map { 10.0.0.1 . 80 : 1 } ; meta mark set ip saddr . tcp dport map { 10.0.0.1 . 80 : 0x00000001 } ; ok
meta l4proto { tcp, udp } th dport { 53, 80 } accept ; = ; ok
meta l4proto tcp th dport . th sport { 80 . 1 } ; tcp dport . tcp sport { 80 . 1 } ; ok
th sport . th dport { 1 . 2 } ; = ; ok
tcp sport 1 tcp dport 2 ip saddr 1.1.1.1 ip daddr 2.2.2.2 ; = ; ok
ip saddr 1.1.1.1 ip daddr 2.2.2.2 ; = ; ok
ip daddr 2.2.2.2 ip saddr 1.1.1.1 ; = ; ok
ip daddr 2.2.2.2 counter ip saddr 1.1.1.1 ; ip daddr 2.2.2.2 counter packets 0 bytes 0 ip saddr 1.1.1.1 ; ok
ip ttl 5 ip protocol tcp ; = ; ok
ip protocol udp ip saddr 1.1.1.1 udp dport 5 ; ip saddr 1.1.1.1 udp dport 5 ; ok
meta l4proto udp ip saddr 1.1.1.1 udp dport 5 ; ip saddr 1.1.1.1 udp dport 5 ; ok
ip protocol udp udp dport 5 udp sport 6 ; udp sport 6 udp dport 5 ; ok
udp sport 6 udp dport 5 ; = ; ok
udp dport { 5 } udp sport 6 ; udp sport 6 udp dport 5 ; ok
tcp dport 80 udp dport 80 ; ; fail
ip protocol tcp udp dport 80 ; ; fail
meta l4proto udp tcp dport 80 ; ; fail
ip protocol != tcp tcp dport 80 ; = ; ok
icmp type echo-request icmp id 5 ; = ; unsupported
icmp type 8 icmp code 0 ; icmp type echo-request icmp code net-unreachable ; ok
icmp mtu 1400 ; = ; ok
icmp type { echo-request } accept ; icmp type echo-request accept ; ok
iifname "a b" ; = ; ok
iifname "eth0" oifname "eth1" ; = ; ok
iifname lo oifname != "eth*" ; iifname "lo" oifname != "eth*" ; ok
iif != lo ; iif != "lo" ; ok
iif 1 ; iif "lo" ; ok
iif 99 ; = ; ok
oifname eth0 ip saddr 1.1.1.1 ; oifname "eth0" ip saddr 1.1.1.1 ; ok
meta iif lo ; iif "lo" ; ok
meta iifname "lo" ; iifname "lo" ; ok
meta protocol ip6 ; = ; ok
meta protocol vlan ; meta protocol 8021q ; ok
ether type 0x800 ; ether type ip ; ok
ether type vlan ; ether type 8021q ; ok
ether daddr ff:ff:ff:ff:ff:ff ; = ; ok
ip length { 20, 40-50 } ; = ; ok
ct expiration 1h ; = ; ok
ct expiration 100 ; ct expiration 1m40s ; ok
ct expiration { 10s, 1d } ; = ; ok
ct expiration 10s-20s ; = ; ok
ct direction { original, reply } ; = ; ok
ct original proto-dst 80 ; ; fail
tcp dport 80 ct original proto-dst 80 ; = ; ok
meta l4proto tcp ct original proto-dst 80 ; = ; ok
ct protocol tcp ct original proto-dst 80 ; = ; ok
ct original ip saddr . ct original ip daddr { 1.1.1.1 . 2.2.2.2 } ; = ; ok
ct mark vmap { 1 : accept } ; ct mark vmap { 0x00000001 : accept } ; ok
ct zone 0 ; = ; ok
ct state established,related,new,invalid,untracked ; ct state invalid,established,related,new,untracked ; ok
ct state vmap { new : jump uc, established : accept } ; ct state vmap { established : accept, new : jump uc } ; ok
numgen random mod 4 vmap { 0-1 : accept, 2-3 : drop } ; = ; ok
numgen random mod 3 vmap { 0 : goto uc, 1 : goto uc, 2 : goto uc } ; = ; ok
numgen random mod 100 offset 1 vmap { 1-50 : accept } ; = ; ok
meta random & 1 == 0 ; = ; ok
limit rate 10/second burst 5 packets ; limit rate 10/second ; ok
limit rate 1000000/second ; = ; ok
limit rate 5 kbytes/minute ; = ; ok
limit rate 1500 bytes/second ; = ; ok
limit rate 1025 kbytes/second burst 1024 bytes ; limit rate 1025 kbytes/second burst 1 kbytes ; ok
limit rate until 5/second ; ; fail
limit rate over 400/minute burst 20 packets ; = ; ok
log prefix "a\"b" ; ; fail
log prefix "in-drop " level info flags all ; = ; ok
log level emerg ; = ; ok
log level alert ; = ; ok
log level crit ; = ; ok
log level notice ; = ; ok
log level info ; = ; ok
log flags tcp sequence ; = ; ok
log flags tcp options ; = ; ok
log flags all ; = ; ok
log prefix "x" group 0 ; = ; ok
add @s4 { ip saddr } counter ; add @s4 { ip saddr } counter packets 0 bytes 0 ; ok
add @s4 { ip saddr counter } ; = ; ok
update @st { ip saddr timeout 10s counter comment "x" } ; ; fail
update @st { ip saddr timeout 10s comment "x" } ; ; fail
add @nope { ip saddr } ; ; fail
add @sc { ip saddr . tcp dport } ; = ; ok
add @mm { ip saddr : 5 } ; add @mm { ip saddr : 0x00000005 } ; ok
update @mm { ip saddr timeout 5s : meta mark } ; ; fail
add @sc { ip saddr } ; ; fail
ip saddr @nope ; ; fail
tcp dport @s4 ; ; fail
jump nope ; ; fail
accept drop ; ; fail
drop ip saddr 1.1.1.1 ; ; fail
jump uc drop ; ; fail
meta mark set 5 accept ; meta mark set 0x00000005 accept ; ok
meta mark set 5 meta mark set 6 ; meta mark set 0x00000005 meta mark set 0x00000006 ; ok
meta nftrace set 1 accept ; = ; unsupported
ip ttl set 64 accept ; = ; unsupported
tcp dport set 80 ; = ; unsupported
udp dport set 53 ; = ; unsupported
ip saddr set 10.0.0.1 ; = ; unsupported
ip daddr set 10.0.0.9 counter ; ip daddr set 10.0.0.9 counter packets 0 bytes 0 ; unsupported
meta priority none ; = ; unsupported
tcp dport eq 80 ; tcp dport 80 ; ok
tcp dport ne 80 ; tcp dport != 80 ; ok
tcp dport lt 80 ; tcp dport < 80 ; ok
tcp dport gt 80 ; tcp dport > 80 ; ok
tcp dport le 80 ; tcp dport <= 80 ; ok
tcp dport ge 80 ; tcp dport >= 80 ; ok
tcp dport == 80 ; tcp dport 80 ; ok
tcp dport ! 80 ; ; fail
accept comment hello ; accept comment "hello" ; ok
accept comment "a#b" ; = ; ok
counter counter ; counter packets 0 bytes 0 counter packets 0 bytes 0 ; ok
return comment "r" ; = ; ok
tcp dport 65536 ; ; fail
tcp dport -1 ; ; fail
ip saddr 300.1.1.1 ; ; fail
ip saddr 10.0.0.0/33 ; ; fail
ip saddr fe80::1 ; ; fail
icmp type foo ; ; fail
ct state foo ; ; fail
tcp foo 5 ; ; fail
foo ; ; fail
ip ; ; fail
ip saddr ; ; fail
meta foo 5 ; ; fail
iifname 5 ; iifname "5" ; ok
iifname "averyveryverylongname" ; ; fail
reject with icmp foo ; ; fail
limit rate 5 ; ; fail
limit rate 5/fortnight ; ; fail
dnat to 1.1.1.1 ; ; fail
masquerade ; ; fail
snat to 1.1.1.1 ; ; fail
redirect ; ; fail
ip protocol tcp ip ttl 5 ; ip ttl 5 ip protocol tcp ; ok
tcp dport 80 ct state new tcp sport 5 ; ct state new tcp sport 5 tcp dport 80 ; ok
meta l4proto tcp counter tcp dport 80 ; meta l4proto tcp counter packets 0 bytes 0 tcp dport 80 ; ok
ip protocol tcp counter tcp dport 80 ; ip protocol tcp counter packets 0 bytes 0 tcp dport 80 ; ok
ip id 5 ip length 40 ; ip length 40 ip id 5 ; ok
icmp code 4 icmp type 3 ; icmp type destination-unreachable icmp code frag-needed ; ok
tcp sport != 5 tcp dport 80 ; = ; ok
tcp dport != 80 tcp sport != 5 ; tcp sport != 5 tcp dport != 80 ; ok
tcp dport 80 tcp sport { 5, 6 } ; = ; ok
ip protocol tcp reject ; = ; ok
meta l4proto tcp ip saddr 1.1.1.1 reject with tcp reset ; ip saddr 1.1.1.1 reject with tcp reset ; ok
meta l4proto tcp jump uc ; = ; ok
ip protocol tcp meta mark 5 tcp dport 80 ; meta mark 0x00000005 tcp dport 80 ; ok
ip protocol icmp icmp type 8 ; icmp type echo-request ; ok
meta l4proto icmp ip saddr 1.1.1.1 ; = ; ok
ip saddr { 172.30.0.0/16 } drop ; ip saddr 172.30.0.0/16 drop ; ok
ip saddr != { 203.0.113.0/25 } drop ; ip saddr != 203.0.113.0/25 drop ; ok
ip saddr != { 203.0.113.0/25, 1.1.1.1 } drop ; ip saddr != { 1.1.1.1, 203.0.113.0/25 } drop ; ok
update @st { ip saddr timeout 0s } ; update @st { ip saddr } ; ok
ip saddr { 1.1.1.1 timeout 5s } ; ip saddr 1.1.1.1 ; ok
ip saddr { 1.1.1.1 comment "x" } ; ip saddr 1.1.1.1 ; ok
ip saddr { 1.1.1.1 comment "x", 2.2.2.2 } ; = ; ok
tcp dport vmap { * : drop, 80 : accept } ; tcp dport vmap { 80 : accept, * : drop } ; ok
ip saddr vmap { 1.1.1.1 counter : drop } ; ; fail
meta mark set 0x10 ct mark set meta mark ; meta mark set 0x00000010 ct mark set meta mark ; ok
ip daddr . meta l4proto . th dport vmap { 10.0.0.1 . tcp . 80 : drop, 10.0.0.2 . udp . 80-81 : accept } ; = ; ok
