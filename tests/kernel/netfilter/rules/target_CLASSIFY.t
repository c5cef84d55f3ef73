@mangle FORWARD
-j CLASSIFY --set-class 1:10 ; -j CLASSIFY --set-class 0001:0010 ; ok
-j CLASSIFY --set-class 0000:ffff ; = ; ok
-j CLASSIFY --set-class ABCD:1x ; -j CLASSIFY --set-class abcd:0001 ; ok
-j CLASSIFY --set-class 10001:2 ; -j CLASSIFY --set-class 0001:0002 ; ok
-j CLASSIFY --set-class 1 ; ; fail
-j CLASSIFY ; ; fail
