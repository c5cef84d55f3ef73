@filter FORWARD
-m ecn --ecn-ip-ect 2 ; = ; ok
-m ecn ! --ecn-ip-ect 0 ; = ; ok
-p tcp -m ecn --ecn-tcp-cwr ; = ; ok
-p tcp -m ecn --ecn-tcp-ece ! --ecn-tcp-cwr --ecn-ip-ect 3 ; = ; ok
-p tcp -m ecn ! --ecn-tcp-ece -j DROP ; = ; ok
-m ecn --ecn-tcp-cwr ; ; fail
! -p tcp -m ecn --ecn-tcp-ece ; ; fail
-p udp -m ecn --ecn-tcp-ece ; ; fail
-m ecn --ecn-ip-ect 4 ; ; fail
-m ecn ; ; fail
