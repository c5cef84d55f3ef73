@filter FORWARD
-p icmp --icmp-type 8 -j ACCEPT ; -p icmp -m icmp --icmp-type 8 -j ACCEPT ; ok
-p icmp --icmp-type echo-request -j ACCEPT ; -p icmp -m icmp --icmp-type 8 -j ACCEPT ; ok
-p icmp --icmp-type 3/1 -j ACCEPT ; -p icmp -m icmp --icmp-type 3/1 -j ACCEPT ; ok
-p icmp --icmp-type host-unreachable -j ACCEPT ; -p icmp -m icmp --icmp-type 3/1 -j ACCEPT ; ok
-p icmp --icmp-type fragmentation-needed -j ACCEPT ; -p icmp -m icmp --icmp-type 3/4 -j ACCEPT ; ok
-p icmp --icmp-type time-exceeded -j ACCEPT ; -p icmp -m icmp --icmp-type 11 -j ACCEPT ; ok
-p icmp --icmp-type ttl-zero-during-transit -j ACCEPT ; -p icmp -m icmp --icmp-type 11/0 -j ACCEPT ; ok
-p icmp --icmp-type any -j ACCEPT ; -p icmp -m icmp --icmp-type any -j ACCEPT ; ok
-p icmp ! --icmp-type 8 -j ACCEPT ; -p icmp -m icmp ! --icmp-type 8 -j ACCEPT ; ok
-p icmp --icmp-type nosuch -j ACCEPT ; ; fail
-p icmp --icmp-type 256 -j ACCEPT ; ; fail
-p icmp -m icmp -j ACCEPT ; ; fail
-p tcp -m icmp --icmp-type 8 -j ACCEPT ; ; fail
! -p icmp -m icmp --icmp-type 8 ; ; fail
! -p icmp --icmp-type 8 ; ; fail
-p icmp --icmp-type TOS-host-redirect ; -p icmp -m icmp --icmp-type 5/3 ; ok
-p icmp --icmp-type required-option-missing ; -p icmp -m icmp --icmp-type 12/1 ; ok
-p icmp --icmp-type precedence-cutoff ; -p icmp -m icmp --icmp-type 3/15 ; ok
