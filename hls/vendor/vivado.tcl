# SPDX-License-Identifier: Apache-2.0
# Vivado, without a project: synthesis out of context, placing and routing, and the reports that
# hls/vendor/reports.py reads. Commands are those of AMD UG835.
#
#   vivado -mode batch -nojournal -log vivado.log -source vivado.tcl
#
# settings.tcl, written beside this file, sets part, top, period (ns) and route (0 or 1).

cd [file dirname [file normalize [info script]]]
source settings.tcl
file mkdir reports

# Out of context there are no buffers at the ports, as inside a block design. The clock is the only constraint:
# paths from and to the ports are not timed.
set constraints [open clock.xdc w]
puts $constraints "create_clock -name clk -period $period \[get_ports clk_i\]"
close $constraints

read_verilog -sv [lsort [glob *.sv]]
read_xdc -mode out_of_context clock.xdc
# The memory files (*.mem) are read by name from this folder.
synth_design -top $top -part $part -mode out_of_context -include_dirs [list [pwd]] -flatten_hierarchy rebuilt
write_checkpoint -force reports/synthesized.dcp

if {$route} {
    opt_design
    place_design
    phys_opt_design
    route_design
    write_checkpoint -force reports/routed.dcp
}

report_utilization -file reports/utilization.rpt
report_utilization -hierarchical -file reports/hierarchy.rpt
report_timing_summary -delay_type min_max -max_paths 10 -file reports/timing.rpt
report_power -file reports/power.rpt
report_drc -file reports/drc.rpt
