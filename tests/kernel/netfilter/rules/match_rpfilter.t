@raw PREROUTING
-m rpfilter ; = ; ok
-m rpfilter --invert -j DROP ; = ; ok
-m rpfilter --validmark --loose --accept-local --invert -j DROP ; -m rpfilter --loose --validmark --accept-local --invert -j DROP ; ok
-m rpfilter --loose ; = ; ok
-m rpfilter ! --loose ; ; fail
-m rpfilter --nosuch ; ; fail
