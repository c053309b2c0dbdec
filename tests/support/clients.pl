#!/usr/bin/perl
# clients.pl ADDRESS...: connects to each, and says `connected`. Then, for each number on stdin, it
# asks that many of them, and says of each whether it answered.
use strict;
use warnings;
use IO::Socket::INET;

$| = 1;
$SIG{PIPE} = 'IGNORE';
my @connections = map { IO::Socket::INET->new($_) or die "$_: $!\n" } @ARGV;
print "connected\n";
while (my $number = <STDIN>) {
    for my $connection (@connections[0 .. $number - 1]) {
        print $connection->peerport, ': ', answers($connection) ? 'answered' : 'no answer', "\n";
    }
}

sub answers {
    my $connection = shift;
    my $answer;
    local $SIG{ALRM} = sub { die };
    eval {
        alarm 3;
        syswrite $connection, 'hello';
        sysread $connection, $answer, 99;
        alarm 0;
    };
    return defined $answer && $answer eq 'hello';
}
