@filter FORWARD
-m devgroup --src-group 2 ; -m devgroup --src-group 0x2 ; ok
-m devgroup ! --src-group 0x2/0xff --dst-group default ; = ; ok
-m devgroup --dst-group 0 -j DROP ; -m devgroup --dst-group default -j DROP ; ok
-m devgroup --dst-group nosuch ; ; fail
-m devgroup ; ; fail
