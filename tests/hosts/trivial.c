/* Does nothing; what it is linked with does. */

int main(void)
{
    return 0;
}
