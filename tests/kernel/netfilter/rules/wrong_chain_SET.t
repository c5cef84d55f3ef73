@mangle INPUT
%create k hash:net skbinfo
-j SET --map-set k src --map-mark ; = ; ok
-j SET --map-set k src --map-prio ; ; fail
