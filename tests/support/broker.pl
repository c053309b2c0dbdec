#!/usr/bin/perl
# broker.pl NAME ADDRESS: calls itself NAME, answers each message with the same, and never asks
# whether anybody is still there.
use strict;
use warnings;
use IO::Select;
use IO::Socket::INET;

($0, my $address) = @ARGV;
my $listener = IO::Socket::INET->new(LocalAddr => $address, Listen => 9, ReuseAddr => 1)
    or die "$address: $!\n";
my $select = IO::Select->new($listener);
while (1) {
    for my $from ($select->can_read) {
        if ($from == $listener) {
            $select->add(scalar $listener->accept);
        } elsif (sysread $from, my $message, 99) {
            syswrite $from, $message;
        } else {
            $select->remove($from);
            close $from;
        }
    }
}
