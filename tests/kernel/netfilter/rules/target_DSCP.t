@mangle FORWARD
-j DSCP --set-dscp 0x2e ; = ; ok
-j DSCP --set-dscp 0 ; -j DSCP --set-dscp 0x00 ; ok
-j DSCP --set-dscp-class EF ; -j DSCP --set-dscp 0x2e ; ok
-p tcp -j DSCP --set-dscp-class cs7 ; -p tcp -j DSCP --set-dscp 0x38 ; ok
-j DSCP --set-dscp 64 ; ; fail
-j DSCP --set-dscp-class XX ; ; fail
-j DSCP --set-dscp 1 --set-dscp-class EF ; ; fail
-j DSCP ; ; fail
