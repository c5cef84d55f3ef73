@filter FORWARD
-p udp -m udp --dport 53 -j ACCEPT ; = ; ok
-p udp --sport 53 -j ACCEPT ; -p udp -m udp --sport 53 -j ACCEPT ; ok
-p udp ! --sport 53 ! --dport 1:1023 -j ACCEPT ; -p udp -m udp ! --sport 53 ! --dport 1:1023 -j ACCEPT ; ok
-m udp -p udp --dport 5 -m udp --sport 6 -j ACCEPT ; -p udp -m udp --sport 6 --dport 5 -j ACCEPT ; ok
-p udp --dport domain -j ACCEPT ; -p udp -m udp --dport 53 -j ACCEPT ; ok
-p udp --syn -j ACCEPT ; ; fail
-m udp --dport 5 -j ACCEPT ; ; fail
! -p udp -m udp --sport 5:7 ; = ; ok
! -p udp -m udp ; ; fail
-p udp -m udp ! --dport 0:600 -j ACCEPT ; -p udp -m udp --dport 601:65535 -j ACCEPT ; ok
-p udp -m udp --sport 5:1 --dport 70000 ; -p udp -m udp --sport 5:1 --dport 4464 ; ok
-p udp -m udp --sport 5 --source-port 6 ; ; fail
