@filter FORWARD
-j ACCEPT ; = ; ok
-p 6 -j ACCEPT ; -p tcp -j ACCEPT ; ok
-p all -j ACCEPT ; -j ACCEPT ; ok
-p 0 -j ACCEPT ; -j ACCEPT ; ok
-p TCP -j ACCEPT ; -p tcp -j ACCEPT ; ok
-p 132 -j ACCEPT ; -p sctp -j ACCEPT ; ok
-p 200 -j ACCEPT ; = ; ok
! -p tcp -j ACCEPT ; = ; ok
! -p all -j ACCEPT ; ; fail
-p nosuch -j ACCEPT ; ; fail
-s 10.0.0.1 -j ACCEPT ; -s 10.0.0.1/32 -j ACCEPT ; ok
-s 10.0.0.1/24 -j ACCEPT ; -s 10.0.0.0/24 -j ACCEPT ; ok
! -s 10.0.0.0/8 -d 1.2.3.4/32 -j ACCEPT ; = ; ok
-s 10.0.0.0/255.0.255.0 -j ACCEPT ; = ; ok
-s 10.0.0.0/255.255.0.0 -j ACCEPT ; -s 10.0.0.0/16 -j ACCEPT ; ok
-s 0.0.0.0/0 -j ACCEPT ; -j ACCEPT ; ok
-d 0/0 -j ACCEPT ; -j ACCEPT ; ok
! -s 0.0.0.0/0 -j ACCEPT ; ; fail
-d 10.0.0.300 -j ACCEPT ; ; fail
-d 10.0.0.0/33 -j ACCEPT ; ; fail
-s 10.0.0.1 -s 10.0.0.2 -j ACCEPT ; ; fail
! -s 10.0.0.1,10.0.0.2 -j ACCEPT ; ; fail
--source 10.0.0.1 --destination 10.0.0.2 --protocol udp --jump DROP ; -s 10.0.0.1/32 -d 10.0.0.2/32 -p udp -j DROP ; ok
-i eth0 -o eth+ -j ACCEPT ; = ; ok
! -i eth0 -j ACCEPT ; = ; ok
-i + -j ACCEPT ; -j ACCEPT ; ok
! -o eth+ -j ACCEPT ; = ; ok
-i 0123456789abcdef -j ACCEPT ; ; fail
-f -j ACCEPT ; = ; ok
! -f -j ACCEPT ; = ; ok
-j CH ; = ; ok
-g CH ; = ; ok
-j RETURN ; = ; ok
-j DROP ; = ; ok
-p udp ; = ; ok
-j NOSUCH ; ; fail
-m nosuch --foo -j ACCEPT ; ; fail
-j ACCEPT --bogus ; ; fail
--dport 80 -j ACCEPT ; ; fail
-j ; ; fail
! ! -s 10.0.0.1 -j ACCEPT ; ; fail
-s 10.0.0.1 ! ; ; fail
garbage -j ACCEPT ; ; fail
-j ACCEPT -j DROP ; ; fail
-s 10.0.0.1/8 -d 192.168.1.1/16 -i eth0 -o eth1 -p tcp -m tcp --dport 80 -m comment --comment "all of it" -m conntrack --ctstate NEW -j DROP ; -s 10.0.0.0/8 -d 192.168.0.0/16 -i eth0 -o eth1 -p tcp -m tcp --dport 80 -m comment --comment "all of it" -m conntrack --ctstate NEW -j DROP ; ok
