@filter FORWARD
-j LOG ; = ; ok
-j LOG --log-level debug --log-tcp-sequence --log-tcp-options --log-ip-options --log-uid ; -j LOG --log-level 7 --log-tcp-sequence --log-tcp-options --log-ip-options --log-uid ; ok
-j LOG --log-prefix "abc" ; -j LOG --log-prefix abc ; ok
-j LOG --log-prefix "in: " --log-level 4 ; -j LOG --log-prefix "in: " ; ok
-j LOG --log-level 7 ; = ; ok
-j LOG --log-level info --log-macdecode ; -j LOG --log-level 6 --log-macdecode ; ok
-j LOG --log-level loud ; ; fail
