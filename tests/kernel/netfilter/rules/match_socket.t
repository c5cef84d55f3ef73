@mangle PREROUTING
-m socket ; = ; ok
-m socket --transparent ; = ; ok
-m socket --transparent --nowildcard -j DROP ; = ; ok
-m socket --nowildcard --transparent --restore-skmark ; -m socket --transparent --nowildcard --restore-skmark ; ok
-m socket ! --transparent ; ; fail
-m socket --foo ; ; fail
