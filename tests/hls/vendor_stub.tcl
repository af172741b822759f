# SPDX-License-Identifier: Apache-2.0
# Stands in for Vivado and for Vitis HLS: knows the commands and options that AMD UG835 and UG1399 document and
# refuses all others; where a report would be written, it puts the file of that name in VENDOR_STUB_REPORTS.

# name {option number-of-values ...}
set commands {
    read_verilog          {-sv 0}
    read_xdc              {-mode 1}
    synth_design          {-top 1 -part 1 -mode 1 -include_dirs 1 -flatten_hierarchy 1}
    write_checkpoint      {-force 0}
    opt_design            {}
    place_design          {}
    phys_opt_design       {}
    route_design          {}
    report_utilization    {-file 1 -hierarchical 0}
    report_timing_summary {-file 1 -delay_type 1 -max_paths 1}
    report_power          {-file 1}
    report_drc            {-file 1}
    open_project          {-reset 0}
    set_top               {}
    add_files             {-tb 0 -cflags 1}
    open_solution         {-reset 0 -flow_target 1}
    set_part              {}
    create_clock          {-period 1 -name 1}
    config_compile        {-name_max_length 1}
    csim_design           {}
    csynth_design         {}
    cosim_design          {-rtl 1}
    export_design         {-rtl 1 -format 1}
}

proc deliver {file} {
    file mkdir [file dirname $file]
    set source [file join $::env(VENDOR_STUB_REPORTS) [file tail $file]]
    if {[file exists $source]} { file copy -force $source $file }
}

proc called {name options arguments} {
    puts "$name $arguments"
    if {$name eq [lindex [split [set ::env(VENDOR_STUB_FAILS)] :] 0]} { error "ERROR: \[Stub 1-1\] $name fails" }
    for {set k 0} {$k < [llength $arguments]} {incr k} {
        set word [lindex $arguments $k]
        if {[string index $word 0] eq "-" && ![string is double $word]} {
            if {![dict exists $options $word]} { error "ERROR: $name has no option $word" }
            if {$word eq "-file"} { deliver [lindex $arguments [expr {$k + 1}]] }
            incr k [dict get $options $word]
        } elseif {$name in {read_verilog read_xdc add_files}} {
            foreach file $word { if {![file exists $file]} { error "ERROR: no file $file" } }
        }
    }
    if {$name eq "csynth_design"} { deliver hls/solution1/syn/report/char_lstm_csynth.xml }
    if {$name eq "cosim_design"} { deliver hls/solution1/sim/report/char_lstm_cosim.rpt }
}

foreach {name options} $commands { proc $name args "called $name [list $options] \$args" }
# A name that the stub doesn't know is an error, not a program of this machine.
proc unknown {name args} { error "ERROR: invalid command name \"$name\"" }
if {[catch { source [lindex $argv end] } message]} {
    puts $message
    exit 1
}
