@filter FORWARD
-m realm --realm 5 ; -m realm --realm 0x5 ; ok
-m realm ! --realm 0x2a/0xff -j DROP ; = ; ok
-m realm --realm cosmos ; = ; ok
-m realm --realm 0 ; -m realm --realm cosmos ; ok
-m realm --realm 0/0xff ; -m realm --realm 0x0/0xff ; ok
-m realm --realm nosuch ; ; fail
-m realm ; ; fail
