@filter FORWARD
-p ah -m ah --ahspi 256 ; = ; ok
-p ah -m ah ! --ahspi 256:512 -j DROP ; = ; ok
-p ah -m ah ; = ; ok
-p ah -m ah ! --ahspi 0:4294967295 ; -p ah -m ah ; ok
-m ah ; ; fail
-p ah -m ah --ahspi 4294967296 ; ; fail
