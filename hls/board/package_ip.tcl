# SPDX-License-Identifier: Apache-2.0
# The second way to the IP: Vivado's own packager reads the sources and the attributes of the top, and writes
# packaged/component.xml. Commands are those of AMD UG835 and UG1118.
#
#   vivado -mode batch -nojournal -log package_ip.log -source package_ip.tcl
#
# package_settings.tcl, written beside this file, sets names, part, interfaces and registers.

cd [file dirname [file normalize [info script]]]
source package_settings.tcl

create_project -force -part $part packaging packaging
set sources [concat [lsort [glob src/*.sv]] [lsort [glob src/*.v]]]
add_files -norecurse [concat [lsort [glob src/*.svh]] [lsort [glob -nocomplain src/*.mem]] $sources]
set_property file_type {Verilog Header} [get_files *.svh]
set_property top $top [current_fileset]
update_compile_order -fileset sources_1

ipx::package_project -root_dir packaged -vendor $vendor -library $library -taxonomy /UserIP -import_files -force
set core [ipx::current_core]
foreach {property value} [list name $name version $version display_name $title description $title] {
    set_property $property $value $core
}

# The packager infers the interfaces from the attributes of the top. If it did not, a block design would have
# loose pins, or a reset of the wrong polarity.
set found [get_property name [ipx::get_bus_interfaces -of_objects $core]]
foreach interface $interfaces {
    if {[lsearch -exact $found $interface] < 0} {
        puts stderr "package_ip: the packager did not infer the interface $interface; it found: $found"
        exit 1
    }
}
set reset [ipx::get_bus_interfaces aresetn -of_objects $core]
set polarity [get_property value [ipx::get_bus_parameters POLARITY -of_objects $reset]]
if {$polarity ne "ACTIVE_LOW"} {
    puts stderr "package_ip: the polarity of aresetn is '$polarity', not ACTIVE_LOW"
    exit 1
}

# The packager makes a memory map of its own for a slave, without registers.
foreach old [ipx::get_memory_maps -of_objects $core] {
    ipx::remove_memory_map [get_property name $old] $core
}
set map [ipx::add_memory_map $memory_map $core]
set_property slave_memory_map_ref $memory_map [ipx::get_bus_interfaces s_axil -of_objects $core]
set block_object [ipx::add_address_block $block $map]
foreach {property value} [list base_address 0 range $range width 32 usage register] {
    set_property $property $value $block_object
}
foreach entry $registers {
    lassign $entry register_name offset access reset description fields
    set object [ipx::add_register $register_name $block_object]
    foreach {property value} [list address_offset $offset size 32 access $access description $description] {
        set_property $property $value $object
    }
    set_property reset_value $reset $object
    foreach field $fields {
        lassign $field field_name position width access
        set field_object [ipx::add_field $field_name $object]
        foreach {property value} [list bit_offset $position bit_width $width access $access] {
            set_property $property $value $field_object
        }
    }
}

ipx::create_xgui_files $core
ipx::update_checksums $core
ipx::check_integrity $core
ipx::save_core $core
close_project
puts "package_ip: packaged/component.xml"
