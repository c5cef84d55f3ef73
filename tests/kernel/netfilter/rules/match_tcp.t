@filter FORWARD
-p tcp -m tcp --dport 80 -j ACCEPT ; = ; ok
-p tcp --dport 80:90 -j ACCEPT ; -p tcp -m tcp --dport 80:90 -j ACCEPT ; ok
-p tcp --dport :90 -j ACCEPT ; -p tcp -m tcp --dport 0:90 -j ACCEPT ; ok
-p tcp --dport 90: -j ACCEPT ; -p tcp -m tcp --dport 90:65535 -j ACCEPT ; ok
-p tcp ! --dport 80 --sport 5 -j ACCEPT ; -p tcp -m tcp --sport 5 ! --dport 80 -j ACCEPT ; ok
-p tcp --sport 1:65535 -j ACCEPT ; -p tcp -m tcp --sport 1:65535 -j ACCEPT ; ok
-p tcp --source-port 1 --destination-port 2 -j ACCEPT ; -p tcp -m tcp --sport 1 --dport 2 -j ACCEPT ; ok
-p tcp --dport http -j ACCEPT ; -p tcp -m tcp --dport 80 -j ACCEPT ; ok
-p tcp -m comment --comment x --dport 80 -j ACCEPT ; -p tcp -m comment --comment x -m tcp --dport 80 -j ACCEPT ; ok
-m comment --comment x -p tcp --dport 80 -m mark --mark 1 -j ACCEPT ; -p tcp -m comment --comment x -m tcp --dport 80 -m mark --mark 0x1 -j ACCEPT ; ok
-p tcp --syn -j ACCEPT ; -p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN -j ACCEPT ; ok
-p tcp ! --syn -j ACCEPT ; -p tcp -m tcp ! --tcp-flags FIN,SYN,RST,ACK SYN -j ACCEPT ; ok
-p tcp --tcp-flags SYN,FIN SYN,FIN -j DROP ; -p tcp -m tcp --tcp-flags FIN,SYN FIN,SYN -j DROP ; ok
-p tcp --tcp-flags ALL NONE -j DROP ; -p tcp -m tcp --tcp-flags FIN,SYN,RST,PSH,ACK,URG NONE -j DROP ; ok
-p tcp ! --tcp-flags ALL SYN -j DROP ; -p tcp -m tcp ! --tcp-flags FIN,SYN,RST,PSH,ACK,URG SYN -j DROP ; ok
-p tcp --tcp-flags SYN,BAD SYN -j DROP ; ; fail
-p tcp --tcp-option 2 -j DROP ; -p tcp -m tcp --tcp-option 2 -j DROP ; ok
-p tcp ! --tcp-option 2 -j DROP ; -p tcp -m tcp ! --tcp-option 2 -j DROP ; ok
-p tcp --sport 1000:2000 --dport 80 --tcp-flags SYN SYN -j DROP ; -p tcp -m tcp --sport 1000:2000 --dport 80 --tcp-flags SYN SYN -j DROP ; ok
-p tcp --dport 70000 -j ACCEPT ; ; fail
-p tcp --dport 90:80 -j ACCEPT ; ; fail
-p tcp --dport nosuch -j ACCEPT ; ; fail
-p tcp --dport 80 --dport 90 -j ACCEPT ; ; fail
-m tcp --dport 80 -j ACCEPT ; ; fail
-p udp -m tcp --dport 80 -j ACCEPT ; ; fail
-p tcp --dport ; ; fail
! -p tcp -m tcp --dport 80 ; = ; ok
! -p tcp --dport 80 ; ! -p tcp -m tcp --dport 80 ; ok
! -p tcp -m tcp ! --sport 80:90 ; = ; ok
! -p tcp ! --syn ; ! -p tcp -m tcp ! --tcp-flags FIN,SYN,RST,ACK SYN ; ok
! -p tcp -m tcp --tcp-option 5 ; ; fail
! -p tcp -m tcp ; ; fail
! -p udp -m tcp --dport 80 ; ; fail
! -p tcp -m udp --dport 80 ; ; fail
-p tcp -m tcp ! --dport 0:600 -j ACCEPT ; -p tcp -m tcp --dport 601:65535 -j ACCEPT ; ok
-p tcp -m tcp ! --sport 0:65534 -j ACCEPT ; -p tcp -m tcp --sport 65535 -j ACCEPT ; ok
-p tcp -m tcp ! --dport 0 -j ACCEPT ; = ; ok
-p tcp -m tcp ! --dport 0:600 --tcp-option 8 -j ACCEPT ; = ; ok
-p tcp -m tcp --tcp-flags syn,ack, SYN ; -p tcp -m tcp --tcp-flags SYN,ACK SYN ; ok
-p tcp -m tcp --syn --tcp-flags ALL SYN ; ; fail
-p tcp -m tcp --tcp-option 0 ; ; fail
