UCLA pl 1.0

pin_ddr 0 7000
pin_pcie 7000 0
pin_usb 7000 7000
pin_clk 0 0

gpu 0 0 : N
npu 2300 0 : N
sram 4300 0 : N
cpu0 0 2100 : N
cpu1 1700 2100 : N
l2 3400 2100 : N
isp 5600 2100 : N
dsp 0 3600 : N
fpu 1297 3600 : N
noc 2497 3600 : N
ddr 3659 3600 : N
pcie 0 4897 : N
usb 1300 4897 : N
aes 2100 4897 : N
pll 2800 4897 : N
otp 3400 4897 : N
