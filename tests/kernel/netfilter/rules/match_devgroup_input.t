@filter INPUT
-m devgroup --dst-group 1 ; ; fail
-m devgroup --src-group 1 ; -m devgroup --src-group 0x1 ; ok
