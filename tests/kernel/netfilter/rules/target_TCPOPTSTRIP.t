@mangle FORWARD
-p tcp -j TCPOPTSTRIP ; = ; ok
-p tcp -j TCPOPTSTRIP --strip-options timestamp,sack-permitted,mss ; -p tcp -j TCPOPTSTRIP --strip-options 2,4,8 ; ok
-p tcp -j TCPOPTSTRIP --strip-options 2,3,4,5,6,7,8,19,254 ; = ; ok
-p tcp -j TCPOPTSTRIP --strip-options 1 ; ; fail
-p tcp -j TCPOPTSTRIP --strip-options 2,mss ; ; fail
-p tcp -j TCPOPTSTRIP --strip-options foo ; ; fail
-p tcp -j TCPOPTSTRIP --strip-options 256 ; ; fail
-j TCPOPTSTRIP --strip-options 2 ; ; fail
