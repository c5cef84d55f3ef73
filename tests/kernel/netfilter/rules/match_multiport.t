@filter FORWARD
-p tcp -m multiport --dports 80,443,1000:2000 -j ACCEPT ; = ; ok
-p tcp -m multiport ! --sports 80 -j ACCEPT ; = ; ok
-p udp -m multiport --ports 80,81 -j ACCEPT ; = ; ok
-p udp -m multiport --destination-ports 80,81 -j ACCEPT ; -p udp -m multiport --dports 80,81 -j ACCEPT ; ok
-p sctp -m multiport --dports 1,2 -j ACCEPT ; = ; ok
-p tcp -m multiport --dports 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15 -j ACCEPT ; = ; ok
-p tcp -m multiport --dports 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16 -j ACCEPT ; ; fail
-m multiport --dports 80 -j ACCEPT ; ; fail
-p tcp -m multiport -j ACCEPT ; ; fail
-p tcp -m multiport --dports 80 --sports 80 -j ACCEPT ; ; fail
! -p tcp -m multiport --dports 80,90 ; ; fail
