@raw OUTPUT
-m rpfilter ; ; fail
