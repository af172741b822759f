# SPDX-License-Identifier: Apache-2.0
# Vitis HLS: C simulation, synthesis, RTL simulation and export of an IP. Commands are those of AMD UG1399.
#
#   vitis_hls -f vitis_hls.tcl                     until 2024.2
#   vitis-run --mode hls --tcl vitis_hls.tcl       since
#
# exact_test.cpp returns 1 at the first logit that is not the reference's, which ends csim_design and
# cosim_design, and so this script, with an error. settings.tcl, written beside this file, sets part, top,
# period (ns) and steps.

cd [file dirname [file normalize [info script]]]
source settings.tcl

proc run {} {
    global part top period steps
    open_project -reset hls
    set_top $top
    add_files firmware/$top.cpp -cflags "-std=c++14"
    add_files -tb exact_test.cpp -cflags "-std=c++14"
    add_files -tb firmware/weights
    add_files -tb tb_data
    open_solution -reset solution1 -flow_target vivado
    set_part $part
    create_clock -period $period -name default
    config_compile -name_max_length 80

    foreach step $steps {
        switch $step {
            csim    { csim_design }
            csynth  { csynth_design }
            cosim   { cosim_design -rtl verilog }
            export  { export_design -rtl verilog -format ip_catalog }
            default { error "unknown step $step" }
        }
    }
}

# Without this, an error would leave the tool waiting at its prompt.
if {[catch run message]} {
    puts stderr "ERROR: $message"
    exit 1
}
exit 0
