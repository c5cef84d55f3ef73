@mangle PREROUTING
-p tcp -j TPROXY --on-port 15006 --on-ip 0.0.0.0 --tproxy-mark 0x539/0xffffffff ; = ; ok
-p tcp -j TPROXY --on-port 15006 --tproxy-mark 1337 ; -p tcp -j TPROXY --on-port 15006 --on-ip 0.0.0.0 --tproxy-mark 0x539/0xffffffff ; ok
-p udp -j TPROXY --on-port 12345 --on-ip 10.0.0.1 --tproxy-mark 0x23/0xff ; = ; ok
-p tcp -m mark --mark 0x3a870200 -j TPROXY --on-port 34618 --on-ip 127.0.0.1 --tproxy-mark 0x200/0xffffffff ; = ; ok
-p tcp -j TPROXY --on-port 0 ; -p tcp -j TPROXY --on-port 0 --on-ip 0.0.0.0 --tproxy-mark 0x0/0x0 ; ok
-p tcp -j TPROXY --on-port http ; -p tcp -j TPROXY --on-port 80 --on-ip 0.0.0.0 --tproxy-mark 0x0/0x0 ; ok
-j TPROXY --on-port 5 ; ; fail
-p icmp -j TPROXY --on-port 5 ; ; fail
! -p tcp -j TPROXY --on-port 5 ; ; fail
-p tcp -j TPROXY --on-port 65536 ; -p tcp -j TPROXY --on-port 0 --on-ip 0.0.0.0 --tproxy-mark 0x0/0x0 ; ok
-p tcp -j TPROXY --on-port 5 --tproxy-mark x ; ; fail
-p tcp -j TPROXY --on-ip 1.2.3.4 ; ; fail
-p tcp -j TPROXY ; ; fail
